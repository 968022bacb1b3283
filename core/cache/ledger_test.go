package cache

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// bounded returns an embedded cache and its server.
func bounded(t *testing.T, most int64) *Cache {
	t.Helper()
	config := DefaultConfig()
	config.MaxBytes, config.Timeout = most, time.Minute
	c, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAnEmbeddedCacheThatIsFullKeepsWhatWasAskedForLast(t *testing.T) {
	t.Parallel()
	const half = LeastBytes/2 - 2*(perKey+perField)
	c := bounded(t, LeastBytes)
	write := func(key string, bytes int) {
		t.Helper()
		if err := c.Client.HSet(t.Context(), key, "field", strings.Repeat("x", bytes)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	there := func() (keys []string) {
		for _, key := range []string{"a", "b", "c", "d"} {
			if c.embedded.Exists(key) {
				keys = append(keys, key)
			}
		}
		return keys
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string
	}{
		{"two have room", func() { write("a", half/2); write("b", half) }, []string{"a", "b"}},
		{"the one that was written first goes", func() { write("c", half) }, []string{"b", "c"}},
		{"one that was read stays", func() { c.Client.HGet(t.Context(), "b", "field"); write("d", half/2) }, []string{"b", "d"}},
		{"what was removed makes room", func() { c.Client.Del(t.Context(), "b"); write("a", half) }, []string{"a", "d"}},
		{"what has expired makes room", func() { c.embedded.Del("a"); write("a", half) }, []string{"a", "d"}},
		{"one alone may take more", func() { write("c", 2*LeastBytes) }, []string{"c"}},
		{"it goes for the next", func() { write("d", 1) }, []string{"d"}},
	} {
		step.do()
		if got := there(); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Fatalf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestPropertyTheLedgerIsThatOfWhatThereIs writes, reads, removes and lets expire, in any order.
func TestPropertyTheLedgerIsThatOfWhatThereIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const most = 4 * (perKey + perField)
		there := map[string]int64{}
		l := newLedger(
			most,
			func(key string) bool { _, is := there[key]; return is },
			func(key string) bool { delete(there, key); return true },
		)
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				k, value := key.Draw(t, "key"), strings.Repeat("x", rapid.IntRange(0, 300).Draw(t, "bytes"))
				l.note("HSET", []string{k, "field", value})
				if _, is := there[k]; !is {
					there[k] = int64(len(k)) + perKey
				}
				there[k] += int64(len("field")+len(value)) + perField
			},
			"read":   func(t *rapid.T) { l.note("HGETALL", []string{key.Draw(t, "key")}) },
			"expire": func(t *rapid.T) { delete(there, key.Draw(t, "key")) },
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "key")
				l.note("UNLINK", []string{k})
				delete(there, k)
			},
			"": func(t *rapid.T) {
				var sum int64
				for k, bytes := range there {
					if sum += bytes; l.keys[k] == nil {
						t.Fatalf("%s is there and not in the ledger", k)
					}
				}
				if sum > l.taken || (l.taken > most && len(l.keys) > 1) {
					t.Fatalf("the ledger says %d of %d, there are %d", l.taken, most, sum)
				}
				if len(l.keys) != l.order.Len() {
					t.Fatalf("%d keys, %d in order", len(l.keys), l.order.Len())
				}
			},
		})
	})
}

// TestTheBoundIsWhatTheHeapGrowsBy fills the cache several times over. It is alone, since it measures what all tests allocate.
func TestTheBoundIsWhatTheHeapGrowsBy(t *testing.T) { //nolint:paralleltest // see above
	const most = 4 << 20
	for _, fields := range []int{1, 10, 100} {
		c := bounded(t, most)
		before := heap()
		value := strings.Repeat("x", 450)
		for user := range 3 * most / (fields * 600) {
			all := make([]any, 0, 2*fields)
			for f := range fields {
				all = append(all, fmt.Sprintf("pke-%020d", f), value)
			}
			if err := c.Client.HSet(t.Context(), fmt.Sprintf("{pro-1/usr-%020d}:events", user), all...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		taken := heap() - before
		t.Logf("%d fields a key: the heap grew by %.2f of the bound", fields, float64(taken)/most)
		if taken > most*5/4 {
			t.Errorf("%d fields a key: the heap grew by %d, and the bound is %d", fields, taken, most)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// heap returns what is in use of it.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a pool had kept goes with the second
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
