//go:build !race

package test

const detecting = false
