module github.com/keyward/keyward/core

go 1.26.0

require (
	github.com/keyward/keyward/api v0.0.0
)

replace (
	github.com/keyward/keyward/api => ../api
)
