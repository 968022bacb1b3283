package policycmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/services/decision/admit"
)

// policyWait is what "keyward policy wait" was asked for.
type policyWait struct {
	bundle  bundleFlag
	timeout time.Duration
}

func newPolicyWait(terminal command.Terminal) *cobra.Command {
	var w policyWait
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a server answers by a bundle",
		Long: `Asks the admin port of a server which revision of the policy answers, until it is
that of the bundle. A server takes up a changed bundle by itself, once it has checked
it. Prints nothing; the exit code is 1 if the server refuses the bundle, which ends the
wait at once, or if it did not come to answer in time. The message is then what the
server says of its policy.`,
		Example: "  keyward policy wait --bundle policies",
		Args:    command.NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return w.do(cmd, terminal) },
	}
	w.bundle.flag(cmd)
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(all)
	cmd.Flags().AddFlag(all.Lookup("admin-addr"))
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "longest time to wait")
	return cmd
}

func (w *policyWait) do(cmd *cobra.Command, terminal command.Terminal) error {
	if w.timeout <= 0 {
		return command.Usage(errors.New("--timeout: must be above 0"))
	}
	cfg, err := config.Load("", terminal.Environ, cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	source, err := w.bundle.open()
	if err != nil {
		return err
	}
	content, err := admit.Content(source)
	if err != nil {
		return fmt.Errorf("%s is refused:\n%w", &w.bundle, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), w.timeout)
	defer cancel()
	if err := answers(ctx, "http://"+reachable(cfg.AdminAddr)+"/readyz?verbose", content); err != nil {
		return fmt.Errorf("%s is not what answers: %w", &w.bundle, err)
	}
	return nil
}

// reachable is where a server that listens at addr is found from here.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// answers waits until the server says of its policy that files of this hash answer. The error is what it said last.
func answers(ctx context.Context, readiness, content string) error {
	said := fmt.Errorf("%s was not asked", readiness)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		policy, err := policyState(ctx, readiness)
		switch {
		case err != nil && ctx.Err() == nil:
			said = err
		case err == nil && answeredBy(policy, content):
			return struct{}{}, nil
		case err == nil:
			said = fmt.Errorf("%s says: %s", readiness, policy)
			if refuses(policy, content) {
				return struct{}{}, backoff.Permanent(said)
			}
		}
		return struct{}{}, said
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return said
	}
	return nil
}

// answeredBy reports whether the line of readiness about the policy says that files of this hash answer.
func answeredBy(policy, content string) bool {
	answering, _, _ := strings.Cut(policy, " answers; ")
	fields := strings.Fields(answering)
	return fields[len(fields)-1] == content
}

// refuses reports whether the line says that files of this hash are refused for good. It does not while they are tried again.
func refuses(policy, content string) bool {
	return strings.Contains(policy, " answers; refused content "+content+": ")
}

// mostReadiness is far above what a server says of itself, in bytes.
const mostReadiness = 1 << 20

// policyState returns the line of readiness that is about the policy.
func policyState(ctx context.Context, readiness string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, readiness, nil)
	if err != nil {
		return "", err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = rsp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(rsp.Body, mostReadiness))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "policy ") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("%s does not speak of a policy", readiness)
}
