package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/rpc"
)

// openOperators loads who may call the Operator API, where that is served, and follows it.
func (a *App) openOperators(ctx context.Context) error {
	if !a.cfg.Runs(settings.Gateway) || !a.cfg.HTTP.OperatorAPI {
		return nil
	}
	bucket, err := kv.Open(ctx, a.bus.JS, bus.OperatorsBucket)
	if err == nil {
		a.operators, err = operator.NewStore(ctx, bucket, a.logger(settings.Gateway))
	}
	if err != nil {
		return fmt.Errorf("open operators: %w", err)
	}
	a.operators.TellTo(a.audit)
	a.run("operators", a.operators.Run)
	return nil
}

// localOperator is the name of the operator that the machine itself is.
const localOperator = "local"

// firstOperator makes an operator with every right where there is none, for whoever may read the data directory: with the embedded NATS
// that is who has all rights anyway. The token is there before the operator is, so that no operator is left whose token nobody has.
func (a *App) firstOperator(ctx context.Context) error {
	if a.operators == nil || a.cfg.NATS.URL != "" || len(a.operators.List()) > 0 {
		return nil
	}
	made, token, err := operator.New(localOperator, operator.Admin, 0, "keyward serve", a.opts.Now())
	if err != nil {
		return fmt.Errorf("create the first operator: %w", err)
	}
	path := filepath.Join(a.cfg.NATS.DataDir, operator.TokenFile)
	if err := writeOwnerOnly(path, token); err != nil {
		return fmt.Errorf("create the first operator: %w", err)
	}
	if err := a.operators.Create(ctx, made); err != nil {
		return fmt.Errorf("create the first operator: %w", err)
	}
	a.log.InfoContext(ctx, "created the first operator, for commands on this machine", "operator", made.ID, "token_file", path)
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

// policyTimeout is how long a call of an operator may take: a bundle that is pushed is checked meanwhile, and another may be before it.
func (a *App) policyTimeout() time.Duration {
	const checks = 2
	return checks*a.cfg.Decision.CheckTimeout + a.cfg.Calls.Timeout
}

// policyCalls bound calls of operators to a decision service that runs elsewhere.
func (a *App) policyCalls() rpc.Limits {
	limits := a.cfg.Calls
	limits.Timeout = a.policyTimeout()
	return limits
}
