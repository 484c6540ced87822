"""Everything that installs, starts and shows Trygport; nothing here ships in the wheel."""
