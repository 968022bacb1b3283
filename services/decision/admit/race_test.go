//go:build race

package admit_test

// shadows is how much more memory the race detector takes: it keeps shadows of all that is written, and 300 MB before the first line runs.
const shadows = 8
