"""Infrastructure: a template is deployed, followed, compared, listed and taken down again."""
