"""What a hook type sends."""
