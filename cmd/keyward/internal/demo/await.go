package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// Await returns when the server knows the project and its secret. A project that has just been made takes a moment to reach every
// instance. An error says what the server answered last.
func Await(ctx context.Context, project client.Project, timeout time.Duration) error {
	api := client.Connect(project, timeout, nil)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := api.FirstUser(ctx)
		if errors.Is(err, client.ErrUnanswered) {
			return fmt.Errorf("no server answers at %s; is keyward serve running? %w", project.URL, err)
		}
		var refused *client.Fault
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
