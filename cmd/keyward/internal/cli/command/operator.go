package command

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/app/devtls"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/gateway"
)

// callLimit bounds a call of the Operator API: the check of a bundle that is pushed takes seconds.
const callLimit = 2 * time.Minute

const operatorURLFlag = "operator-url"

// OperatorFlags are the flags by which a command finds the Operator API of a server, and the token.
func OperatorFlags(flags *pflag.FlagSet) {
	operatorURL(flags, "http_addr on this machine")
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(all)
	for _, name := range []string{"data-dir", "http-addr"} {
		flags.AddFlag(all.Lookup(name))
	}
}

func operatorURL(flags *pflag.FlagSet, otherwise string) {
	flags.String(operatorURLFlag, "", "URL of the server, such as https://keyward.example.com ("+config.OperatorURLEnv+"); empty = "+otherwise)
}

// OperatorURLFlag is the flag of a command that asks the Operator API if it is told where, and the store of a server otherwise.
func OperatorURLFlag(flags *pflag.FlagSet) { operatorURL(flags, "the records in the server's NATS") }

// OperatorURLGiven reports whether the flag or the environment says where the Operator API is.
func OperatorURLGiven(cmd *cobra.Command, terminal Terminal) bool {
	named, _ := cmd.Flags().GetString(operatorURLFlag)
	return named != "" || variable(terminal.Environ, config.OperatorURLEnv) != ""
}

// OperatorTokenHelp says where commands find the token.
const OperatorTokenHelp = `The token of an operator is taken from KEYWARD_OPERATOR_TOKEN, or from the file that
KEYWARD_OPERATOR_TOKEN_FILE names; for a server on this machine, also from operator-token
in --data-dir, which its first start has made.`

// FindOperatorAPI returns a client of the Operator API that the flags and the environment name. Errors are of usage.
func FindOperatorAPI(cmd *cobra.Command, terminal Terminal) (*operatorclient.Client, error) {
	cfg, err := config.Load("", terminal.Environ, cmd.Flags())
	if err != nil {
		return nil, Usage(fmt.Errorf("configuration:\n%w", err))
	}
	named, _ := cmd.Flags().GetString(operatorURLFlag)
	if named == "" {
		named = variable(terminal.Environ, config.OperatorURLEnv)
	}
	server := operatorclient.Server{URL: named}
	if named == "" {
		server.URL = localURL(cfg)
	}
	at, err := url.Parse(server.URL)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil || strings.Trim(at.Path, "/") != "" ||
		at.RawQuery != "" {
		return nil, Usage(fmt.Errorf("--%s: must be of the form https://host:port", operatorURLFlag))
	}
	local := ownMachine(at.Hostname())
	if server.Token, err = operatorToken(terminal.Environ, cfg, local); err != nil {
		return nil, Usage(err)
	}
	if cfg.TLSDev && local {
		if server.Roots, err = localRoots(cfg.NATS.DataDir); err != nil {
			return nil, err
		}
	}
	return operatorclient.Connect(server, callLimit), nil
}

// localURL is where a server with these settings is reached on its machine.
func localURL(cfg settings.Config) string {
	scheme := "http"
	if cfg.HTTP.UsesTLS(gateway.TLSHTTP) {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(cfg.HTTP.Addr)
	if err != nil {
		return scheme + "://" + cfg.HTTP.Addr
	}
	if address, err := netip.ParseAddr(host); host == "" || err == nil && address.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func ownMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
}

// operatorToken returns the token. That of the machine goes nowhere else.
func operatorToken(environ []string, cfg settings.Config, local bool) (string, error) {
	token, file := variable(environ, config.OperatorTokenEnv), variable(environ, config.OperatorTokenEnv+"_FILE")
	switch {
	case token != "" && file != "":
		return "", fmt.Errorf("%s and %s_FILE are both set; set one", config.OperatorTokenEnv, config.OperatorTokenEnv)
	case token != "":
	case file != "":
		raw, err := plainfile.ReadOnce(file, plainfile.MaxText)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", config.OperatorTokenEnv, err)
		}
		token = string(raw)
	case local && cfg.NATS.URL == "":
		raw, err := os.ReadFile(filepath.Join(cfg.NATS.DataDir, operator.TokenFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("--data-dir: %w", err)
		}
		token = string(raw)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", fmt.Errorf(
			"no token of an operator: set %s, or name the --data-dir of a server on this machine; keyward operator create makes one",
			config.OperatorTokenEnv,
		)
	}
	if _, ok := operator.ParseToken(token); !ok {
		return "", fmt.Errorf("%s: is no token of an operator, of the form keyop_<number>_<secret>", config.OperatorTokenEnv)
	}
	return token, nil
}

// localRoots are the authorities of the system, and the one that tls_dev has made for this machine.
func localRoots(dataDir string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	raw, err := os.ReadFile(devtls.Authority(devtls.Dir(dataDir)))
	if err != nil {
		return nil, fmt.Errorf("tls_dev: %w", err)
	}
	roots.AppendCertsFromPEM(raw)
	return roots, nil
}

// variable returns a variable of an environment; as there, the last counts.
func variable(environ []string, name string) (value string) {
	for _, v := range environ {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}
