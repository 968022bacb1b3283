//go:build !race

// Each figure costs all tests of the bundle once, which the race detector, with nothing to find there, makes five times as dear.

package engine_test

import (
	"fmt"
	"testing"
)

func TestEveryFigureOfTheBundleCanBeChangedAlone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("loads the bundle with its tests once for each figure")
	}
	for _, f := range figures(t) {
		t.Run(fmt.Sprintf("%s=%v", f, f.others[0]), func(t *testing.T) {
			t.Parallel()
			mustLoad(t, map[string]any{f.String(): f.others[0]}, f)
		})
	}
}
