module github.com/keyward/keyward/test

go 1.26.0

require (
	github.com/keyward/keyward/api v0.0.0
	github.com/keyward/keyward/core v0.0.0
	github.com/keyward/keyward/policies v0.0.0
	github.com/keyward/keyward/services/gateway v0.0.0
	github.com/keyward/keyward/services/ceremony v0.0.0
	github.com/keyward/keyward/services/decision v0.0.0
	github.com/keyward/keyward/services/events v0.0.0
	github.com/keyward/keyward/cmd/keyward v0.0.0
)

replace (
	github.com/keyward/keyward/api => ../api
	github.com/keyward/keyward/core => ../core
	github.com/keyward/keyward/policies => ../policies
	github.com/keyward/keyward/services/gateway => ../services/gateway
	github.com/keyward/keyward/services/ceremony => ../services/ceremony
	github.com/keyward/keyward/services/decision => ../services/decision
	github.com/keyward/keyward/services/events => ../services/events
	github.com/keyward/keyward/cmd/keyward => ../cmd/keyward
)
