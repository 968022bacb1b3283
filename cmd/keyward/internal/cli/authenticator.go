package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
)

const deviceFile = "device.json"

// deviceFlags say which software authenticator, and on a page of which origin.
type deviceFlags struct {
	file, origin string
}

func newAuthenticator(terminal command.Terminal) *cobra.Command {
	var f deviceFlags
	cmd := &cobra.Command{
		Use:   "authenticator",
		Short: "Be the phone: create and use passkeys for calls made by hand",
		Long: `A software authenticator with real keys, for trying the API without a browser.
It reads the answer of a start call from standard input and prints what the
authenticator says to it, for the finish call. Passkeys are kept in a file.`,
		Example: "  curl ... /v2/passkey/append/start | keyward authenticator create\n  curl ... /v2/passkey/login/start | keyward " +
			"authenticator get",
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&f.file, "device", "", "file that holds the device and the private keys of its passkeys; "+
		"empty = keyward/"+deviceFile+" where the user's settings are, or "+deviceFile+" here, if there is one")
	cmd.PersistentFlags().StringVar(&f.origin, "origin", "",
		"origin of the page that the passkey is used on, one of the project's; empty = that of frontend_url")
	cmd.AddCommand(
		&cobra.Command{
			Use: "create", Short: "Create a passkey for the options of an append start", Args: command.NoArguments,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err := f.follow(cmd, terminal); err != nil {
					return err
				}
				return useDevice(terminal, f, "attestationOptions", (*authenticator.Device).Create)
			},
		},
		&cobra.Command{
			Use: "get", Short: "Sign for the options of a login start", Args: command.NoArguments,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if err := f.follow(cmd, terminal); err != nil {
					return err
				}
				return useDevice(terminal, f, "assertionOptions", (*authenticator.Device).Get)
			},
		},
	)
	return cmd
}

// follow takes the origin that a server with the same environment has, unless one is given.
func (f *deviceFlags) follow(cmd *cobra.Command, terminal command.Terminal) error {
	if f.origin != "" {
		return nil
	}
	cfg, err := config.Load("", ofOrigin(terminal.Environ), cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	f.origin = cfg.Origin()
	return nil
}

// ofOrigin returns the variables that an origin follows from. A device minds no others: whoever scripts it may have KEYWARD_ names of their
// own.
func ofOrigin(environ []string) []string {
	var kept []string
	for _, setting := range environ {
		switch name, _, _ := strings.Cut(setting, "="); name {
		case "KEYWARD_HTTP_ADDR", "KEYWARD_FRONTEND_URL", "KEYWARD_BOOTSTRAP_ORIGINS":
			kept = append(kept, setting)
		}
	}
	return kept
}

// useDevice lets the device of the file answer options, and keeps what it has become.
func useDevice(
	terminal command.Terminal, f deviceFlags, member string, answer func(*authenticator.Device, string, string) (string, error),
) error {
	options, err := readOptions(terminal.In, member)
	if err != nil {
		return err
	}
	file, err := f.path()
	if err != nil {
		return err
	}
	device, err := loadDevice(file)
	if err != nil {
		return err
	}
	credential, err := answer(device, options, f.origin)
	if err != nil {
		return fmt.Errorf("authenticator: %w", err)
	}
	if err := saveDevice(file, device); err != nil {
		return err
	}
	_, err = fmt.Fprintln(terminal.Out, credential)
	return err
}

// readOptions takes the whole answer of a start call.
func readOptions(in io.Reader, member string) (string, error) {
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(in).Decode(&answer); err != nil {
		return "", fmt.Errorf("standard input is not the JSON answer of a start call: %w", err)
	}
	var options string
	if err := json.Unmarshal(answer[member], &options); err != nil {
		return "", fmt.Errorf("the answer on standard input has no %s", member)
	}
	if options == "" {
		return "", fmt.Errorf("%s is empty: the decision was not to offer a passkey; see decisionTag", member)
	}
	return options, nil
}

// path returns the file of the device. Unless it is named, it is the user's own and not in the directory where the command is given: that
// may be a checkout, and private keys do not belong there. One that an earlier version left there is used on.
func (f deviceFlags) path() (string, error) {
	if f.file != "" {
		return f.file, nil
	}
	if _, err := os.Stat(deviceFile); err == nil {
		return deviceFile, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", command.Usage(fmt.Errorf("--device is needed: %w", err))
	}
	dir = filepath.Join(dir, "keyward")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for the device: %w", err)
	}
	return filepath.Join(dir, deviceFile), nil
}

func loadDevice(file string) (*authenticator.Device, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return authenticator.Phone(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the device: %w", err)
	}
	device := new(authenticator.Device)
	if err := json.Unmarshal(raw, device); err != nil {
		return nil, fmt.Errorf("%s does not hold a device: %w", file, err)
	}
	return device, nil
}

func saveDevice(file string, device *authenticator.Device) error {
	raw, err := json.MarshalIndent(device, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the device: %w", err)
	}
	const ownerOnly = 0o600
	if err := os.WriteFile(file, raw, ownerOnly); err != nil {
		return fmt.Errorf("keep the device: %w", err)
	}
	return nil
}
