# Several agents. `run-agent job --agent reviewer ...` names one of them.

# The name of an agent is its type too, where it is one.
agent "claude" {
  token_file = "~/.tokens/claude" # chmod 600
}

# The same program as another agent, with a model and variables of its own.
agent "reviewer" {
  type    = "claude"
  model   = "opus"
  account = "work"
  env     = { LANG = "C.UTF-8" }
}

# A block with the agent's name, as the older program has it.
codex {
  token_file     = "~/.tokens/codex"
  resume_session = true
}

agent "gemini" {
  redact = true
}

# Any program that takes its prompt on standard input.
agent "opencode" {
  command    = ["opencode", "run", "--auto"] # --auto: nobody is there to grant permissions
  token_env  = "OPENROUTER_API_KEY"
  token_file = "~/.tokens/openrouter"
}

agent "qwen" {
  command = ["qwen", "--approval-mode", "yolo", "--output-format", "stream-json"]
  parser  = "claude"
  account = "qwen" # its usage limit is not that of claude's login
}

agent "local" {
  command = ["./bin/my-agent", "--print"] # a path belongs to the folder of this file
}

defaults {
  agent = "claude"
}
