"""What the kiosk can do for its visitor: one file a kind of tool, a contract all meet, and the toolbox that guards them."""
