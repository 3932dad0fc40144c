/**
 * The shapes of the server's answers that the page reads.
 *
 * @typedef {"running" | "question" | "waiting" | "queued" | "blocked" | "stalled" | "between" | "failed"
 *   | "stopped" | "cancelled" | "done" | "idle" | "unknown" | "unreadable"} State
 *
 * @typedef {object} RunRow
 * @property {string} id
 * @property {string} task_id
 * @property {string} agent
 * @property {string} status
 * @property {string} [outcome]
 * @property {string} [start]
 * @property {string} [end]
 * @property {number} [exit_code]
 * @property {string} [error]
 * @property {string} [parent]
 * @property {string} [previous]
 * @property {string} [model]
 * @property {number} [cost_usd]
 * @property {number} [tokens]
 * @property {string} [printed]
 *
 * @typedef {object} WaitsFor
 * @property {string} what
 * @property {string} since
 * @property {string} [until]
 *
 * @typedef {object} TaskRow
 * @property {string} id
 * @property {string} project_id
 * @property {State} state
 * @property {number} runs
 * @property {number} [attempts]
 * @property {boolean} driven
 * @property {WaitsFor} [waiting]
 * @property {string[]} [depends_on]
 * @property {string[]} [blocked_by]
 * @property {string} [outcome]
 * @property {string} [reason]
 * @property {string} last_activity
 * @property {RunRow} [latest]
 * @property {string[]} [unreadable]
 * @property {number} [queue_position]
 *
 * @typedef {object} ProjectRow
 * @property {string} id
 * @property {string} last_activity
 * @property {string} [source]
 * @property {number} tasks
 * @property {Partial<Record<State, number>>} states
 * @property {number} [cost_usd]
 * @property {number} tokens
 * @property {number} runs
 * @property {number} unknown_cost
 *
 * @typedef {object} Overview
 * @property {ProjectRow[]} projects
 * @property {TaskRow[]} running
 * @property {TaskRow[]} attention
 * @property {string[]} [unreadable]
 * @property {number} [unread] tasks that are missing in this answer, as they were not read yet
 *
 * @typedef {object} Amount
 * @property {number} used
 * @property {number} [most]
 *
 * @typedef {object} Limits
 * @property {Amount} attempts
 * @property {Amount} wall_s
 * @property {Amount} tokens
 * @property {Amount} cost_usd
 * @property {string} [passed]
 * @property {string} [verify]
 * @property {number} checks
 * @property {string} [rejection]
 *
 * @typedef {object} OneTask
 * @property {TaskRow} task
 * @property {RunRow[]} runs
 * @property {RunRow[]} children
 * @property {number} [left_out]
 * @property {number} [unreadable]
 * @property {string[]} [env_names]
 * @property {Limits} [limits]
 *
 * @typedef {object} Process
 * @property {number} pid
 * @property {number} depth
 * @property {string} name
 * @property {string} command
 * @property {string} state
 * @property {number} cpu_s
 * @property {number} memory
 *
 * @typedef {object} OneRun
 * @property {RunRow} run
 * @property {Record<string, any>} record
 * @property {{name: string, size: number}[]} files
 * @property {string} because
 * @property {{place: string, text: string}[]} evidence
 * @property {string} next
 * @property {Process[]} processes
 *
 * @typedef {object} Message
 * @property {string} msg_id
 * @property {string} timestamp
 * @property {string} type
 * @property {string} [project_id]
 * @property {string} [task_id]
 * @property {string} [run_id]
 * @property {(string | {msg_id: string})[]} [parents]
 * @property {{url: string, label?: string}[]} [links]
 * @property {Record<string, string>} [meta]
 * @property {string} body
 *
 * @typedef {object} Cell
 * @property {string} day
 * @property {string} project_id
 * @property {string} agent
 * @property {number} runs
 * @property {number} failed
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number} cache_read_tokens
 * @property {number} cache_creation_tokens
 * @property {number} [cost_usd]
 * @property {number} unknown_cost
 * @property {number} unknown_usage
 *
 * @typedef {object} Health
 * @property {string} version
 * @property {number} uptime_s
 * @property {string} auth
 * @property {boolean} starts_tasks
 * @property {string[]} agents
 * @property {string} root
 * @property {{total: number, free: number}} disk
 * @property {{living_runs: number, most_runs?: number, most_root_tasks?: number}} slots
 * @property {{account: string, since: string, until: string, known: boolean, probes: number, run: string}[]} holds
 *
 * @typedef {object} GcPlan
 * @property {string} plan
 * @property {{kind: string, reason: string, bytes: number, project_id?: string, task_id?: string, run_id?: string, end?: string}[]} items
 * @property {number} count
 * @property {number} bytes
 * @property {Record<string, number>} kept
 * @property {string[]} [errors]
 */
export {};
