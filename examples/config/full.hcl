# Every section with every key. `run-agent config init` prints what each one does.
x-note = "keys that begin with x- are yours"

agent "claude" {
  type           = "claude"
  token          = "not a real token"
  account        = "work"
  model          = "opus"
  parser         = "claude"
  resume_session = true
  redact         = true

  env {
    LANG = "C.UTF-8"
  }
}

agent "perplexity" {
  token_file = "tokens/perplexity"
  base_url   = "http://127.0.0.1:8080/chat/completions"
  model      = "sonar-reasoning"
}

agents "tool" {
  type       = "command"
  command    = ["/opt/tool/bin/tool", "--print"]
  token_env  = "TOOL_TOKEN"
  token_file = "tokens/tool"
}

defaults {
  agent                     = "claude"
  timeout                   = 300
  max_concurrent_runs       = 4
  max_concurrent_root_tasks = 2

  diversification {
    enabled             = true
    strategy            = "weighted"
    agents              = ["claude", "tool"]
    weights             = [3, 1]
    fallback_on_failure = true
  }
}

limits {
  max_attempts       = 20
  max_wall           = "24h"
  max_tokens         = 5000000
  max_cost_usd       = 25.5
  max_depth          = 4
  max_children       = 8
  first_byte_timeout = "5m"
  idle_timeout       = "20m"
  total_timeout      = "8h"
  output_limit       = "256MB"
  on_output_limit    = "stop"
  grace              = "30s"
  result_grace       = "2m"
}

api {
  host          = "0.0.0.0"
  port          = 14355
  auth          = "all"
  api_key       = "not a real key"
  cors_origins  = ["http://127.0.0.1:3000"]
  allowed_hosts = ["agents.example.org"]
}

# Blocks of one name come together.
api {
  sse {
    poll_interval_ms      = 500
    discovery_interval_ms = 1000
    heartbeat_interval_s  = 30
    max_clients_per_run   = 1000
  }
}

storage {
  runs_dir    = "~/runs"
  extra_roots = ["./legacy", "/srv/older"]
  name        = "laptop"
}

bus {
  max_size   = "10MB"
  durability = "process"
}

webhook {
  url     = "https://example.org/hook"
  events  = ["run_stop", "task_done", "task_failed"]
  secret  = "not a real secret"
  timeout = "10s"
  at_exit = "2s"
}

log {
  levels = "info,messagebus=debug"
  format = "json"
}

gc {
  older_than        = "168h"
  keep_failed       = true
  keep_last         = 3
  max_bytes         = "20GB"
  min_free          = "5GB"
  rotate_bus        = true
  prune_archives    = "2160h"
  delete_done_tasks = true
}

update {
  public_key      = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
  allow_downgrade = false
  health_timeout  = "1m"
}

monitor {
  todo        = "TODOs.md"
  interval    = "30s"
  stale_after = "20m"
  rate_limit  = "2s"
}
