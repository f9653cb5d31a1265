"""The frame of every screen: lists, filters, searches, bulk work, dialogs, the ``:`` line."""
