"""Messages over HTTP: the namespace's runtime REST API, over the same broker as AMQP."""
