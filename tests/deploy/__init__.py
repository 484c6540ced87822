"""The set-up itself: what it makes, what it says when it cannot, and that it leaves nothing."""
