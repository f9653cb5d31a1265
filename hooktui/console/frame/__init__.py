"""The frame of every screen: lists, filters, search, bulk commands, dialogs, the ``:`` line."""
