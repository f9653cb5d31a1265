"""What commands do with the store while no server works on it, and what tells how all is doing."""
