package ceremonytest

import (
	"context"
	"testing"
	"time"

	"github.com/keyward/keyward/services/ceremony"
)

// Living returns another process of the same installation whose background work is going on, and what ends it: after that, nothing of it is
// on its way any more. It crashes as c says, but not before Living has returned. There is a user more then, made to see that it lives.
func (st *Stack) Living(tb testing.TB, c *Crash) (process *ceremony.Service, end func()) {
	tb.Helper()
	left := c.arm(-1)
	process = st.Mortal(tb, c)
	ctx, stop := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- process.Run(ctx) }()
	other := *st
	other.Service = process
	for deadline := time.Now().Add(time.Minute); ; {
		user := other.NewUser(tb)
		if len(st.Account(tb, user).Unannounced) > 0 { // it is left for later
			for len(st.Events.Told(user)) == 0 && time.Now().Before(deadline) {
				<-time.After(time.Millisecond)
			}
			break
		}
		if time.Now().After(deadline) {
			tb.Fatal("it does not live")
		}
	}
	c.arm(left)
	return process, func() {
		stop()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	}
}

// arm says how many writes are to be made yet, and returns how many it were.
func (c *Crash) arm(left int) (before int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.Left = c.Left, left
	return before
}
