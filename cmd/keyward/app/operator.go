package app

import (
	"context"
	"fmt"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/firstoperator"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/services/ceremony/operators"
	"github.com/keyward/keyward/services/gateway"
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

// operate gives the gateway what the Operator API is of, if it is on.
func (a *App) operate(ctx context.Context, deps *gateway.Deps) error {
	if a.operators == nil {
		return nil
	}
	trail, err := audit.OpenTrail(ctx, a.bus.JS)
	if err != nil {
		return err
	}
	deps.Operating = gateway.Operating{
		Policies: a.parts.policies, Decisions: a.parts.decisions, Studies: a.parts.studies, Adoption: a.parts.adoption, Desk: a.parts.desk,
		Timelines: a.parts.timelines, Staff: a.operators, Trail: trail, Health: a.health,
		SessionLifetime: a.cfg.OperatorSession, MemberPasskeys: a.cfg.OperatorOIDC.Passkeys,
	}
	if console := a.cfg.Console.At(a.cfg.Ceremony.FrontendURL); console.TakesPasskeys() {
		deps.Operating.Passkeys = operators.New(operators.Deps{
			Store: a.operators, Console: console, ChallengeTTL: a.cfg.Ceremony.ChallengeTTL, Now: a.opts.Now,
			Log: a.logger(settings.Gateway),
		})
	}
	if a.cfg.OperatorOIDC.Issuer != "" {
		to := a.cfg.OperatorOIDC
		to.Home = a.cfg.Ceremony.FrontendURL
		closes, err := deps.Operating.Connect(to, a.opts.Now, a.logger(settings.Gateway))
		if err != nil {
			return err
		}
		a.onStop(func(context.Context) error {
			closes()
			return nil
		})
	}
	deps.Operators = deps.Operating.Operators(a.operators)
	return nil
}

// firstOperator makes an operator where there is none, for whoever may read the data directory: with the embedded NATS that is who has all
// rights anyway.
func (a *App) firstOperator(ctx context.Context) error {
	if a.operators == nil || a.cfg.NATS.URL != "" {
		return nil
	}
	return firstoperator.Make(ctx, a.operators, a.cfg.NATS.DataDir, a.opts.Now(), a.log)
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
