package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// Await returns when the server knows the project and its secret. A project that has just been made takes a moment to reach every instance. An error says what the server answered last.
func Await(ctx context.Context, project client.Project, timeout time.Duration) error {
	api, err := client.Connect(project, timeout, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		one := rest.PageSize(1)
		rsp, err := api.ListUsersWithResponse(ctx, &rest.ListUsersParams{PageSize: &one})
		if err != nil {
			return fmt.Errorf("no server answers at %s; is keyward serve running? %w", project.URL, err)
		}
		_, err = answered(rsp.JSON200, rsp.JSONDefault, rsp.HTTPResponse)
		var refused *fault
		if err == nil || !errors.As(err, &refused) || refused.status != http.StatusUnauthorized {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
