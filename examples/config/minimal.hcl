# One agent that logs in by itself, and is used by work that names none.
defaults {
  agent = "claude"
}
