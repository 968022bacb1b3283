package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/backup/kept"
	"github.com/keyward/keyward/core/backup/restore"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/kv"
)

// Why nothing is restored.
var (
	ErrHolds   = errors.New("there is data already")
	ErrRunning = errors.New("services of Keyward are running on that NATS; stop them first")
	ErrKeyless = errors.New("secrets in the backup are encrypted under a key that is not in encryption_key (KEYWARD_ENCRYPTION_KEY)")
)

type restoreOptions struct {
	settings string
	secret   secretFlags
	at       string
	replace  bool
	keyOut   string
	out      command.Output
}

// NewRestore returns keyward restore.
func NewRestore(terminal command.Terminal) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Restore a backup into an empty data directory or NATS",
		Long: `Reads a file of keyward backup to its end, and refuses it if anything of it is missing
or was changed. Then it makes the streams and buckets as they were, with the settings that
are given: into a data directory, or with --nats-url into one server or a cluster, with as
many replicas as --nats-replicas says. Nothing of Keyward may be running there.

Where there is data, it is refused unless --replace says otherwise: what is in a data
directory is then moved into one below it, replaced-TIME, and what is in an external NATS
is removed. Until a restore has come to its end no server starts with it; one that was
stopped is begun again with the same command.`,
		Example: `  keyward restore --key-file backup.key --data-dir data keyward.backup
  keyward restore --key-file backup.key --nats-url nats://operator:password@n1:4222 --nats-replicas 3 keyward.backup
  keyward restore --key-file backup.key --at 2026-11-22T12:00:00Z keyward.backup`,
		Args: cobra.ArbitraryArgs, // run says which are wrong
	}
	o.secret.add(cmd, "file with the secret key of age that the backup was made for")
	cmd.Flags().StringVar(&o.at, "at", "",
		"the moment to restore, such as 2026-11-22T12:00:00Z, of a backup made with --for; or how long ago, such as 1h")
	cmd.Flags().BoolVar(&o.replace, "replace", false, "take the place of data that is there")
	cmd.Flags().StringVar(&o.keyOut, "encryption-key-out", "", "with --nats-url, a file for the key that secrets are encrypted under")
	command.StorageFlags(cmd, &o.settings)
	o.out.Flag(cmd, "text")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, terminal, args) }
	return cmd
}

func (o *restoreOptions) run(cmd *cobra.Command, terminal command.Terminal, args []string) error {
	if len(args) != 1 || args[0] == toStdout {
		return command.Usage(errors.New("one FILE is needed, which is read more than once; see keyward restore --help"))
	}
	secret, err := o.secret.read()
	if err != nil {
		return err
	}
	at, err := command.TimeFlag("at", o.at, time.Now())
	if err != nil {
		return err
	}
	cfg, err := config.Load(o.settings, terminal.Environ, cmd.Flags())
	if err != nil {
		return command.Usage(fmt.Errorf("configuration:\n%w", err))
	}
	f, err := os.Open(args[0])
	if err != nil {
		return command.Usage(err)
	}
	defer func() { _ = f.Close() }()
	from, err := read(f, secret.Open, at)
	if err != nil {
		return fmt.Errorf("restore %s: %w", args[0], err)
	}
	r := restorer{cfg: cfg, options: o, from: from}
	if err := r.run(cmd.Context()); err != nil {
		return fmt.Errorf("restore %s: %w", args[0], admin.Plain(err))
	}
	return o.print(cmd, &r)
}

// read opens and checks all of a backup.
func read(f *os.File, open func(io.ReaderAt, int64) (io.ReaderAt, int64, error), at time.Time) (restore.Source, error) {
	info, err := f.Stat()
	if err != nil {
		return restore.Source{}, err
	}
	opened, size, err := open(f, info.Size())
	if err != nil {
		return restore.Source{}, err
	}
	index, err := backup.Scan(io.NewSectionReader(opened, 0, size))
	if err != nil {
		return restore.Source{}, err
	}
	cut, err := restore.Pick(index, at)
	return restore.Source{Index: index, Bytes: opened, Cut: cut}, err
}

// restorer restores one backup.
type restorer struct {
	cfg     settings.Config
	options *restoreOptions
	from    restore.Source
	streams int
	moved   string // where what was there is now; empty = nothing was
}

func (r *restorer) embedded() bool { return r.cfg.NATS.URL == "" }

func (r *restorer) run(ctx context.Context) error {
	if err := r.checkKey(); err != nil {
		return err
	}
	b, err := r.open(ctx, time.Minute)
	if err != nil {
		return err
	}
	defer func() { b.Close() }()
	if err := r.refuse(ctx, b); err != nil {
		return err
	}
	if r.moved != "" {
		b.Close()
		if b, err = r.aside(ctx, b); err != nil {
			return err
		}
	}
	if err := r.fill(ctx, b); err != nil {
		return err
	}
	if r.embedded() {
		b.Close()
		if err := syncAll(r.cfg.NATS.DataDir); err != nil {
			return err
		}
		if b, err = r.open(ctx, 0); err != nil {
			return err
		}
	}
	layout, err := b.Layout(r.bus(0), quiet())
	if err != nil {
		return err
	}
	return restore.End(ctx, b.JS, layout, func(ctx context.Context) error { return r.finish(ctx, b) })
}

// bus returns the settings for a restore. A process that ends with a part of it begins again, so that nothing needs to be flushed at once.
func (r *restorer) bus(syncs time.Duration) bus.Config {
	cfg := r.cfg.NATS.Bus()
	if r.embedded() {
		cfg.Addr, cfg.SyncInterval = "off", syncs
	}
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (r *restorer) open(ctx context.Context, syncs time.Duration) (*bus.Bus, error) {
	b, err := bus.OpenToRestore(ctx, r.bus(syncs), quiet())
	if err != nil {
		return nil, err
	}
	if err := restore.Supported(b.Conn); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// checkKey refuses what nobody could open afterwards, before anything is touched.
func (r *restorer) checkKey() error {
	kept := r.from.Index.Header.EncryptionKey
	if kept == "" || r.embedded() {
		return nil
	}
	if r.options.keyOut != "" {
		return writeNew(r.options.keyOut, strings.TrimSpace(kept)+"\n")
	}
	if r.cfg.EncryptionKey == "" {
		return fmt.Errorf("%w: it is in the backup; --encryption-key-out FILE writes it to a file", ErrKeyless)
	}
	return nil
}

// refuse finds out what is there.
func (r *restorer) refuse(ctx context.Context, b *bus.Bus) error {
	if is, err := restore.Began(ctx, b.JS); err != nil || is {
		return err // it is begun again
	}
	if !r.embedded() {
		if err := running(ctx, b); err != nil {
			return err
		}
	}
	for _, name := range kept.Streams() {
		stream, err := b.JS.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		n := stream.CachedInfo().State.Msgs
		if n == 0 {
			continue
		}
		if !r.options.replace {
			return fmt.Errorf("%w: %d messages in %s; restore into an empty data directory or NATS, or say --replace", ErrHolds, n, name)
		}
		if r.embedded() {
			r.moved = filepath.Join(r.cfg.NATS.DataDir, "replaced-"+time.Now().UTC().Format("20060102T150405Z"))
		}
		return nil
	}
	return nil
}

// running asks whether services answer.
func running(ctx context.Context, b *bus.Bus) error {
	const moment = time.Second
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for _, service := range []string{settings.Gateway, settings.Ceremony, settings.Decision, settings.Events} {
		if msg, err := b.Conn.RequestWithContext(ctx, "$SRV.PING.keyward-"+service, nil); err == nil && len(msg.Data) > 0 {
			return fmt.Errorf("%w: %s answers", ErrRunning, service)
		}
	}
	return nil
}

// aside moves what is in the data directory into one below it.
func (r *restorer) aside(ctx context.Context, _ *bus.Bus) (*bus.Bus, error) {
	dir := r.cfg.NATS.DataDir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(r.moved, 0o700); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "replaced-") {
			continue
		}
		if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(r.moved, e.Name())); err != nil {
			return nil, fmt.Errorf("move what is there: %w", err)
		}
	}
	return r.open(ctx, time.Minute)
}

// fill makes the streams.
func (r *restorer) fill(ctx context.Context, b *bus.Bus) error {
	cfg := r.bus(0)
	layout, err := b.Layout(cfg, quiet())
	if err != nil {
		return err
	}
	if err := restore.Begin(ctx, b.JS, cfg.Replicas); err != nil {
		return err
	}
	if err := r.keepKey(); err != nil {
		return err
	}
	return restore.Streams(ctx, b.Conn, layout, r.from, func(string, uint64) { r.streams++ })
}

// keepKey puts the key that secrets are encrypted under in front of one that is there.
func (r *restorer) keepKey() error {
	kept := strings.TrimSpace(r.from.Index.Header.EncryptionKey)
	if kept == "" || !r.embedded() {
		return nil
	}
	there, err := atrest.File(r.cfg.NATS.DataDir)
	if err != nil || strings.Contains(there, kept) {
		return err
	}
	return os.WriteFile(filepath.Join(r.cfg.NATS.DataDir, atrest.FileName), []byte(kept+"\n"+there), 0o600)
}

// finish sees to it that what is restored can be opened, and that no cache is believed.
func (r *restorer) finish(ctx context.Context, b *bus.Bus) error {
	epochs, err := b.Bucket(ctx, bus.EpochsBucket)
	if err != nil {
		return err
	}
	if err := historycache.DistrustRestored(ctx, epochs); err != nil {
		return err
	}
	if r.options.keyOut != "" {
		return nil
	}
	keys, err := r.cfg.EncryptionKeys()
	if err != nil {
		return err
	}
	for _, name := range []string{bus.KeysBucket, bus.ProjectKeysBucket} {
		bucket, err := kv.Open(ctx, b.JS, name)
		if err != nil {
			return err
		}
		if err := atrest.Check(ctx, bucket, keys); errors.Is(err, atrest.ErrKey) {
			return fmt.Errorf("%w: set it, and begin again: %w", ErrKeyless, err)
		}
	}
	return nil
}

// syncAll has all files of a directory on disk.
func syncAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), "replaced-"):
			return fs.SkipDir
		case !e.IsDir() && !e.Type().IsRegular():
			return nil
		}
		f, err := root.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	return errors.Join(err, root.Close())
}

func (o *restoreOptions) print(cmd *cobra.Command, r *restorer) error {
	at := r.from.Cut.At.Format(time.RFC3339Nano)
	if o.out.JSON() {
		return command.WriteJSON(cmd, map[string]any{"at": r.from.Cut.At, "streams": r.streams, "replaced": r.moved})
	}
	text := fmt.Sprintf("restored what was stored at %s: %d streams and buckets", at, r.streams)
	if r.moved != "" {
		text += "; what was there is in " + r.moved
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
