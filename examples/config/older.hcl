# As the older program writes its own, in ~/.run-agent/conductor-loop.hcl.

claude {
  token_file = "~/.anthropic"
}

helper {
  type  = "codex"
  token = "not a real token"
}

defaults {
  agent               = "claude"
  timeout             = 300
  max_concurrent_runs = 4
}

api {
  host = "127.0.0.1"
  port = 14355
}

storage {
  runs_dir = "~/run-agent"
}
