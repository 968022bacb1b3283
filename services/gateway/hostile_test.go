package gateway_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/services/gateway"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// hostile are bodies that anybody can send, each as large as the limit lets it be: what is in them says what a careless reader pays for.
func hostile(op *contract.Operation) map[string]string {
	size := min(op.BodyLimit, 64<<10)
	filled := func(head, part, tail string) string {
		return head + strings.Repeat(part, max(0, (size-len(head)-len(tail))/len(part))) + tail
	}
	bodies := map[string]string{
		"a number of many digits":      filled(`{"timestamp":1`, "0", `}`),
		"numbers with huge exponents":  filled(`{"timestamp":[1`, `,1e1000000`, `]}`),
		"numbers at the bound":         filled(`{"timestamp":[1`, `,1e99`, `]}`),
		"an unknown huge number":       filled(`{"x":1`, "0", `}`),
		"objects in objects":           filled(``, `{"a":`, ``),
		"arrays in arrays":             filled(``, `[`, ``),
		"many members":                 manyMembers(size),
		"one name many times":          filled(`{"a":1`, `,"a":1`, `}`),
		"one long text":                filled(`{"fullName":"`, "x", `"}`),
		"a text of escapes":            filled(`{"fullName":"`, `\u00e4`, `"}`),
		"a text of bad escapes":        filled(`{"fullName":"`, `\ud800`, `"}`),
		"a text of NUL":                filled(`{"fullName":"`, `\u0000`, `"}`),
		"an array of objects":          filled(`{"events":[{}`, `,{}`, `]}`),
		"an array of wrong events":     filled(`{"events":[{}`, `,{"eventType":1}`, `]}`),
		"white space":                  filled(``, " ", `{}`),
		"no JSON":                      filled(``, "\xff", ``),
		"an array where an object was": filled(`[1`, `,1`, `]`),
	}
	return bodies
}

func manyMembers(size int) string {
	var b strings.Builder
	b.WriteString(`{"a":1`)
	for i := 0; b.Len() < size-20; i++ {
		fmt.Fprintf(&b, `,"a%d":1`, i)
	}
	return b.String() + "}"
}

// A route that asks for no credentials may cost at most this for each byte sent to it. Reading JSON and naming each fault costs up to 250
// ns and 75 bytes a byte; what is bounded here is what costs hundreds of times as much. The race detector takes its tenfold.
const (
	mostTime   = 3 * time.Microsecond
	mostMemory = 300 // bytes
)

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// It does not run beside other tests, whose work would be counted too; and it takes the best of three, since the machine works for others.
func TestNothingThatAStrangerSendsCostsMoreThanItsBytesAreWorth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s := serve(t, setup{cfg: gateway.Config{MaxInFlight: 10_000}})
	visited, err := contract.Frontend()
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{"Authorization": "", "X-Corbado-ProjectID": "pro-1", "X-Corbado-Process-ID": "pcs-1"}
	for _, op := range slices.Concat(s.document.Operations, visited.Operations) {
		if op.Permission != "" || !op.TakesBody() {
			continue
		}
		path := op.Path
		for _, name := range op.PathParameters() {
			path = strings.ReplaceAll(path, "{"+name+"}", "x")
		}
		bodies := hostile(op)
		for _, name := range slices.Sorted(maps.Keys(bodies)) {
			body := bodies[name]
			time, memory := mostTime, uint64(mostMemory)
			for tries := 0; tries < 3 && (time >= mostTime || memory >= mostMemory); tries++ {
				used, taken := costOf(t, func() { s.call(op.Method, path, body, headers) })
				time, memory = min(time, used/durationOf(len(body))), min(memory, taken/uint64(len(body)))
			}
			if time >= mostTime || memory >= mostMemory {
				t.Errorf("%s: %s: %v and %d bytes a byte", op.ID, name, time, memory)
			}
		}
	}
}

func durationOf(bytes int) time.Duration { return time.Duration(bytes) }

func costOf(t *testing.T, do func()) (used time.Duration, taken uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cpu(t)
	do()
	used = cpu(t) - began
	runtime.ReadMemStats(&after)
	return used, after.TotalAlloc - before.TotalAlloc
}
