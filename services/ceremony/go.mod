module github.com/keyward/keyward/services/ceremony

go 1.26.0

require (
	github.com/keyward/keyward/api v0.0.0
	github.com/keyward/keyward/core v0.0.0
)

replace (
	github.com/keyward/keyward/api => ../../api
	github.com/keyward/keyward/core => ../../core
)
