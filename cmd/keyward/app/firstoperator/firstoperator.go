// Package firstoperator makes the operator that a machine itself is: the one who may read its data directory. It touches the bucket of
// operators, and the file of the token.
package firstoperator

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
)

// Name is what the operator is called.
const Name = "local"

// Make makes an operator with every right, and returns where the token is. The token is there before the operator is, so that no operator
// is left whose token nobody has.
func Make(ctx context.Context, store *operator.Store, dataDir string, now time.Time) (ident.OperatorID, string, error) {
	made, token, err := operator.New(operator.Wanted{Name: Name, Role: operator.Admin, By: "keyward serve"}, now)
	if err != nil {
		return "", "", err
	}
	path := filepath.Join(dataDir, operator.TokenFile)
	if err := writeOwnerOnly(path, token); err != nil {
		return "", "", err
	}
	return made.ID, path, store.Create(ctx, made)
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
