package backupcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/backup/take"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/telemetry"
)

// toStdout is the file that stands for standard output.
const toStdout = "-"

// backupOptions are what the command line says.
type backupOptions struct {
	settings string
	secret   secretFlags
	makeKey  string
	lasts    time.Duration
	every    time.Duration
	rate     int
	out      command.Output
}

// usualRate costs a server of two cores less than a tenth of what it stores a second.
const usualRate = 20_000

// NewBackup returns keyward backup.
func NewBackup(terminal command.Terminal, build telemetry.Build) *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write what is stored into one encrypted file, while everything runs",
		Long: `Writes the streams and buckets of an installation into a file: as they are at one
moment, though everything goes on. What was acknowledged before that moment is in it.
FILE is - for standard output, so that any program can take it elsewhere; a file that
is there already is left alone.

It finds NATS as keyward serve does: through --data-dir, of a running server or of one
that is stopped, or through --nats-url. The file that secrets are encrypted under in a
data directory is in the backup too; a key from encryption_key is not. What is in Redis
is a copy and is not kept, nor are settings, certificates and policy directories.

With --for it goes on for a while, and keyward restore --at takes up any moment of it,
to within --every.`,
		Example: `  keyward backup --make-key backup.key
  keyward backup --key-file backup.key keyward.backup
  keyward backup --key-file backup.key - | aws s3 cp - s3://backups/keyward.backup`,
		Args: cobra.ArbitraryArgs, // run says which are wrong
	}
	o.secret.add(cmd, "file with a key of age: a secret one, or a public one, which cannot restore")
	cmd.Flags().StringVar(&o.makeKey, "make-key", "", "write a new key to this file, and end")
	cmd.Flags().DurationVar(&o.lasts, "for", 0, "go on for as long, so that there is more than one moment to restore")
	cmd.Flags().DurationVar(&o.every, "every", time.Minute, "with --for, how far these moments are apart; at least 1s")
	cmd.Flags().IntVar(&o.rate, "rate", usualRate, "how many messages a second are read at most, so that others are served; 0 is no bound")
	command.StorageFlags(cmd, &o.settings)
	o.out.Flag(cmd, "text")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.makeKey != "" {
			return makeKey(cmd, o.makeKey)
		}
		return o.run(cmd, terminal, build, args)
	}
	return cmd
}

func (o *backupOptions) run(cmd *cobra.Command, terminal command.Terminal, build telemetry.Build, args []string) error {
	if len(args) != 1 {
		return command.Usage(errors.New("one FILE is needed, or - for standard output; see keyward backup --help"))
	}
	if o.rate < 0 {
		return command.Usage(errors.New("--rate must be 0 or more"))
	}
	if o.lasts < 0 || o.lasts > 0 && o.every < time.Second {
		return command.Usage(errors.New("--for must be 0 or more, and --every at least 1s"))
	}
	secret, err := o.secret.read()
	if err != nil {
		return err
	}
	cfg, err := config.Load(o.settings, terminal.Environ, cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	opts := take.Options{Keyward: build.Version, For: o.lasts, Every: o.every, PerSecond: o.rate, Now: time.Now}
	if cfg.NATS.URL == "" && cfg.EncryptionKey == "" {
		if opts.EncryptionKey, err = atrest.File(cfg.NATS.DataDir); err != nil {
			return err
		}
	}
	js, closes, err := source(cmd.Context(), cfg)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer closes()
	if args[0] == toStdout {
		done, _, err := o.write(cmd.Context(), js, cmd.OutOrStdout(), secret.Seal, opts)
		if err != nil {
			return fmt.Errorf("back up: %w", admin.Plain(err))
		}
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), said(done))
		return err
	}
	return o.toFile(cmd, js, args[0], secret.Seal, opts)
}

// source returns where what is stored is: in a NATS, in that of a running server, or in a data directory that nobody uses.
func source(ctx context.Context, cfg settings.Config) (jetstream.JetStream, func(), error) {
	server := admin.Server{URL: cfg.NATS.URL, DataDir: cfg.NATS.DataDir, CredentialsFile: cfg.NATS.CredentialsFile}
	js, closes, err := admin.JetStream(server, "keyward backup")
	if err == nil || cfg.NATS.URL != "" {
		return js, closes, err
	}
	if _, gone := os.Stat(filepath.Join(cfg.NATS.DataDir, "nats")); gone != nil {
		return nil, nil, err
	}
	still := cfg.NATS.Bus()
	still.Addr = "off"
	b, failed := bus.OpenToRestore(ctx, still, slog.New(slog.DiscardHandler))
	if failed != nil {
		return nil, nil, errors.Join(err, failed)
	}
	return b.JS, b.Close, nil
}

// seal encrypts what is written.
type seal func(io.Writer) (io.WriteCloser, error)

func (o *backupOptions) write(
	ctx context.Context, js jetstream.JetStream, w io.Writer, seal seal, opts take.Options,
) (take.Done, int64, error) {
	counted := &counter{w: w}
	buffered := bufio.NewWriterSize(counted, 1<<20)
	sealed, err := seal(buffered)
	if err != nil {
		return take.Done{}, 0, err
	}
	done, err := take.Take(ctx, js, sealed, opts)
	if err != nil {
		return take.Done{}, 0, err // it is not ended: nobody takes it for whole
	}
	if err := errors.Join(sealed.Close(), buffered.Flush()); err != nil {
		return take.Done{}, 0, fmt.Errorf("write: %w", err)
	}
	return done, counted.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// unfinished is what the name of a file ends in until it is whole.
const unfinished = ".part"

// toFile writes a file that appears whole and on disk, or not at all.
func (o *backupOptions) toFile(cmd *cobra.Command, js jetstream.JetStream, path string, seal seal, opts take.Options) error {
	if _, err := os.Lstat(path); err == nil {
		return command.Usage(fmt.Errorf("%s: is there already", path))
	}
	f, err := os.OpenFile(path+unfinished, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	done, size, err := o.write(cmd.Context(), js, f, seal, opts)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Link(path+unfinished, path) // unlike a renaming, it leaves alone what has come there meanwhile
	}
	if err := errors.Join(err, os.Remove(path+unfinished)); err != nil {
		return fmt.Errorf("back up: %w", admin.Plain(err))
	}
	return o.print(cmd, path, size, done)
}

func (o *backupOptions) print(cmd *cobra.Command, path string, size int64, done take.Done) error {
	if o.out.JSON() {
		return command.WriteJSON(cmd, map[string]any{
			"file": path, "bytes": size, "messages": done.Messages, "cuts": done.Cuts, "first": done.First, "last": done.Last,
		})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s in %s, %d bytes\n", said(done), path, size)
	return err
}

// said says what is in a backup.
func said(done take.Done) string {
	last := done.Last.Format(time.RFC3339Nano)
	if done.Cuts == 1 {
		return fmt.Sprintf("what was stored at %s, %d messages", last, done.Messages)
	}
	first := done.First.Format(time.RFC3339Nano)
	return fmt.Sprintf("what was stored from %s to %s, %d moments, %d messages", first, last, done.Cuts, done.Messages)
}
