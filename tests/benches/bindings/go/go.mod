// A module of its own, so that the package that it measures needs no other.
module example.com/conductor-bench

go 1.24

require (
	example.com/conductor-go v0.0.0
	github.com/mattn/go-sqlite3 v1.14.53
)

replace example.com/conductor-go => ../../../../examples/go
