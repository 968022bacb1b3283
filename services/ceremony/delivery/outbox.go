package delivery

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// outbox prints messages for a developer to read, one line each.
type outbox struct {
	mu  sync.Mutex
	out io.Writer
}

func (o *outbox) carry(_ context.Context, m Message) error {
	what := "code " + m.Value
	if m.Link != "" {
		what = "link " + m.Link
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_, err := fmt.Fprintf(o.out, "[development outbox] %s %s to %s: %s (valid until %s; set delivery to smtp or webhook to send it)\n",
		m.Type, m.ID, strconv.Quote(m.To), what, m.Expires.UTC().Format(time.RFC3339))
	if err != nil {
		return &failure{cause: fmt.Errorf("write to the outbox: %w", err)}
	}
	return nil
}

func (*outbox) close() {}
