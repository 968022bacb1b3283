package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/backup/restore"
	"github.com/keyward/keyward/core/backup/take"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/clustertest"
)

// writer writes one number after the other: into an account, then as an event, then into a session, each when the one before was
// acknowledged.
type writer struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	acked []time.Time // of each number, when the last of the three was
	err   error
}

func write(t *testing.T, b *bus.Bus) *writer {
	t.Helper()
	accounts, err := b.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := b.Bucket(t.Context(), bus.SessionsBucket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &writer{cancel: cancel}
	w.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			text := []byte(strconv.Itoa(i))
			_, err := accounts.Put(t.Context(), "pro-1.usr-1", text)
			if err == nil {
				_, err = b.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", text)
			}
			if err == nil {
				_, err = sessions.Put(t.Context(), "pro-1.ses-1", text)
			}
			w.mu.Lock()
			w.acked, w.err = append(w.acked, time.Now()), err
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w *writer) stop() {
	w.cancel()
	w.done.Wait()
}

// before returns the last number that was acknowledged before a moment, -1 if none was.
func (w *writer) before(at time.Time) int {
	last := -1
	for i, acked := range w.acked {
		if acked.Before(at) {
			last = i
		}
	}
	return last
}

func number(t *testing.T, b *bus.Bus, stream, subject string) int {
	t.Helper()
	s, err := b.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(string(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// judge holds a restored store to what was written.
func judge(t *testing.T, b *bus.Bus, w *writer, at time.Time) {
	t.Helper()
	account := number(t, b, "KV_"+bus.AccountsBucket, "$KV."+bus.AccountsBucket+".pro-1.usr-1")
	event := number(t, b, bus.EventsStream, bus.EventsPrefix+".pro-1.usr-1.login-error")
	session := number(t, b, "KV_"+bus.SessionsBucket, "$KV."+bus.SessionsBucket+".pro-1.ses-1")
	if account < event || event < session || account > session+1 {
		t.Errorf("cut at %s: account %d, event %d, session %d: an effect without its cause", at, account, event, session)
	}
	if acked := w.before(at); session < acked {
		t.Errorf("cut at %s: session %d, and %d was acknowledged before", at, session, acked)
	}
}

func during(t *testing.T, b *bus.Bus, opts take.Options) ([]byte, *writer) {
	t.Helper()
	w := write(t, b)
	var raw bytes.Buffer
	opts.Keyward, opts.Now = "test", time.Now
	done, err := take.Take(t.Context(), b.JS, &raw, opts)
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	if w.err != nil {
		t.Fatal(w.err)
	}
	t.Logf("%+v, %d numbers", done, len(w.acked))
	return raw.Bytes(), w
}

func TestACutIsOneMomentOfEveryStreamWhileAllAreWritten(t *testing.T) {
	t.Parallel()
	raw, w := during(t, open(t, config(t), bus.Open), take.Options{For: 2 * time.Second, Every: 100 * time.Millisecond})
	cuts := scan(t, raw, time.Time{}).Index.Cuts
	if len(cuts) < 3 {
		t.Fatalf("%d cuts", len(cuts))
	}
	for _, i := range []int{0, len(cuts) / 2, len(cuts) - 1} {
		t.Run(fmt.Sprintf("cut %d", i), func(t *testing.T) {
			to := config(t)
			into(t, to, scan(t, raw, cuts[i].At))
			judge(t, open(t, to, bus.Open), w, cuts[i].At)
		})
	}
}

func TestOneProcessBecomesThreeReplicasAndOneProcessAgain(t *testing.T) {
	t.Parallel()
	single := open(t, config(t), bus.Open)
	events, err := single.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	billing := jetstream.ConsumerConfig{Durable: "billing", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := events.CreateConsumer(t.Context(), billing); err != nil {
		t.Fatal(err)
	}
	raw, w := during(t, single, take.Options{})
	from := scan(t, raw, time.Time{})

	replicated := bus.DefaultConfig()
	_, replicated.URL = clustertest.Start(t)
	replicated.Replicas, replicated.StartTimeout = 3, time.Minute
	into(t, replicated, from)
	three := open(t, replicated, bus.Open)
	judge(t, three, w, from.Cut.At)
	stream, err := three.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().Config.Replicas; n != 3 {
		t.Errorf("%d replicas", n)
	}
	if _, err := stream.Consumer(t.Context(), "billing"); err != nil {
		t.Errorf("the consumer of a subscriber: %v", err)
	}
	raw, w = during(t, three, take.Options{})
	from = scan(t, raw, time.Time{})
	to := config(t)
	into(t, to, from)
	judge(t, open(t, to, bus.Open), w, from.Cut.At)
}

func TestAMomentBeforeTheFirstCutIsRefused(t *testing.T) {
	t.Parallel()
	var raw bytes.Buffer
	if _, err := take.Take(t.Context(), open(t, config(t), bus.Open).JS, &raw, take.Options{Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	index, err := backup.Scan(bytes.NewReader(raw.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restore.Pick(index, time.Now().Add(-time.Hour)); err == nil || !strings.Contains(err.Error(), "the first moment") {
		t.Error(err)
	}
}
