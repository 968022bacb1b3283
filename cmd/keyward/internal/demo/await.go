package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// Await returns when the server knows the project and its secret. One that has just been made takes a moment to reach every instance;
// fresh says that it is. Otherwise the first refusal is the last: each counts against the address that it comes from. An error says
// what the server answered last.
func Await(ctx context.Context, project client.Project, fresh bool, timeout time.Duration) error {
	api := client.Connect(project, timeout, nil)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	const first, longest = 20 * time.Millisecond, time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		_, err := api.FirstUser(ctx)
		if errors.Is(err, client.ErrUnanswered) {
			return fmt.Errorf("no server answers at %s; is keyward serve running? %w", project.URL, err)
		}
		var refused *client.Fault
		if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || !fresh {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
