// Package firstoperator makes the operator that a machine itself is: the one who may read its data directory. It touches the bucket of
// operators, and the file of the token.
package firstoperator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/keyward/keyward/core/operator"
)

// Name is what the operator is called.
const Name = "local"

// Make makes an operator with every right where there is none, and logs where the token is. The token is there before the operator is, so
// that no operator is left whose token nobody has.
func Make(ctx context.Context, store *operator.Store, dataDir string, now time.Time, log *slog.Logger) error {
	if len(store.List()) > 0 {
		return nil
	}
	made, token, err := operator.New(operator.Wanted{Name: Name, Role: operator.Admin, By: "keyward serve"}, now)
	path := filepath.Join(dataDir, operator.TokenFile)
	if err == nil {
		err = writeOwnerOnly(path, token)
	}
	if err == nil {
		err = store.Create(ctx, made)
	}
	if err != nil {
		return fmt.Errorf("create the first operator: %w", err)
	}
	log.InfoContext(ctx, "created the first operator, for commands on this machine", "operator", made.ID, "token_file", path)
	return nil
}

// writeOwnerOnly writes a file that its owner alone can read, whatever was there.
func writeOwnerOnly(path, text string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = draft.WriteString(text + "\n")
	if closed := draft.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		_ = os.Remove(draft.Name())
	}
	return err
}
