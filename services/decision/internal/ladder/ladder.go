// Package ladder holds the steps that facts move in, so that equal situations have equal facts. It promises that numbers are rounded down
// to one. It is pure.
package ladder

// Never is how many hours ago something was that has not been, or of which it is not known when.
const Never = 99_999

// The steps. They are never changed.
var (
	hours  = [...]int{0, 1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 720, 2160, 4320, 8760}
	counts = [...]int{0, 1, 2, 3, 5, 10, 20, 50}
	kms    = [...]int{0, 50, 100, 250, 500, 1000, 2500, 5000, 10000}
	speeds = [...]int{0, 100, 300, 500, 800, 1000, 2000, 5000}
)

// Hours rounds a number of hours down to a step; a negative one, as of clocks that differ, is none.
func Hours(n int64) int { return rounded(hours[:], n) }

// Kilometres rounds a distance in km down to a step.
func Kilometres(n float64) int { return rounded(kms[:], int64(n)) }

// Speed rounds a speed in km/h down to a step.
func Speed(n float64) int { return rounded(speeds[:], int64(n)) }

// Count rounds how often something was down to a step.
func Count(n int) int { return rounded(counts[:], int64(n)) }

// Ages returns what hours ago come in, Never included.
func Ages() []int { return append(hours[:len(hours):len(hours)], Never) }

// Distances returns what km come in.
func Distances() []int { return kms[:] }

// Speeds returns what km/h come in.
func Speeds() []int { return speeds[:] }

// Counts returns what numbers of times come in.
func Counts() []int { return counts[:] }

func rounded(steps []int, n int64) int {
	found := steps[0]
	for _, one := range steps {
		if int64(one) > n {
			break
		}
		found = one
	}
	return found
}
