"""Microsoft.Network: checked and kept; no packet is ever sent.

networks.py    virtual networks, security groups, route tables, public addresses; views.py what of
               them follows from other resources
private_dns.py zones, record sets, links to networks
private_link.py private_link_connections.py   private endpoints, and their other end at a service
"""
