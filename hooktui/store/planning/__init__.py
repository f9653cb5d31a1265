"""The decisions that both databases share: which rows a call writes, what retention deletes."""
