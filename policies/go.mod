module github.com/keyward/keyward/policies

go 1.26.0

