"""Proof for users: how fast this machine delivers, and that nothing is lost when it is killed."""
