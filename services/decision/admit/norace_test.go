//go:build !race

package admit_test

const shadows = 1
