module github.com/keyward/keyward/api

go 1.26.0
