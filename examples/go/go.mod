// Not published: use it from another module with a replace directive that names this folder.
module example.com/conductor-go

go 1.24
