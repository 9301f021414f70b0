"""The terminal UI: presentation only. It reads Draft, Plan, LiveRun and RunState and never touches a connection."""
