package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq"

	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/stack/postgres"
)

const (
	platform = "platform.test"
	target   = "w1.worker." + platform
	// zoneServers share the users' zones.
	zoneServers = 4
)

// fixture is a database with custom domains, the name servers of their zones, and the program.
type fixture struct {
	options options
	dir     string
	server  *postgres.Server
	db      *sql.DB
	dns     *dnsserver.Net
	servers []*dnsserver.Server
	program string
}

func newFixture(ctx context.Context, o options) (w *fixture, err error) {
	w = &fixture{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "bench-domains-"); err != nil {
		return w, err
	}
	if err := w.buildProgram(ctx); err != nil {
		return w, err
	}
	if w.server, err = postgres.Start(ctx, postgres.Options{}); err != nil {
		return w, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if w.db, err = sql.Open("postgres", w.server.DSN("postgres")); err != nil {
		return w, err
	}
	if err := w.startDNS(); err != nil {
		return w, err
	}
	if err := w.writeFiles(); err != nil {
		return w, err
	}
	if _, err := w.inner(ctx, "migrate"); err != nil {
		return w, err
	}
	err = w.insert(ctx, 0, o.domains, "user", "")
	return w, err
}

func (w *fixture) close() error {
	var failures []error
	if w.db != nil {
		failures = append(failures, w.db.Close())
	}
	if w.server != nil {
		failures = append(failures, w.server.Close())
	}
	if w.dns != nil {
		failures = append(failures, w.dns.Close())
	}
	return errors.Join(append(failures, os.RemoveAll(w.dir))...)
}

func (w *fixture) buildProgram(ctx context.Context) error {
	w.program = filepath.Join(w.dir, "inner")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", w.program, "app238.com/inner/cmd/inner")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build Inner: %w\n%s", err, output)
	}
	return nil
}

// startDNS lays the users' zones out as registrars do: each is delegated by the top level domain.
func (w *fixture) startDNS() (err error) {
	if w.dns, err = dnsserver.New(); err != nil {
		return err
	}
	add := func(zones ...string) *dnsserver.Server {
		if err != nil {
			return nil
		}
		var s *dnsserver.Server
		if s, err = w.dns.Server(zones...); err == nil {
			w.servers = append(w.servers, s)
		}
		return s
	}
	top, own := add(), add()
	var hosts []*dnsserver.Server
	for range zoneServers {
		hosts = append(hosts, add())
	}
	if err != nil {
		return err
	}
	w.servers = append(w.servers, w.dns.Root)
	if err := errors.Join(w.dns.Root.Delegate("test.", top), top.Delegate(platform+".", own)); err != nil {
		return err
	}
	for i := range w.options.domains {
		host := hosts[i%zoneServers]
		if err := errors.Join(top.Delegate(zone(i)+".", host), host.Add(records(i)...)); err != nil {
			return err
		}
	}
	for _, s := range w.servers {
		s.SetDelay(w.options.delay)
	}
	return nil
}

func zone(i int) string  { return fmt.Sprintf("user%d.test", i) }
func value(i int) string { return fmt.Sprintf("combinator-verify=%032x", i) }

// isRight tells whether the records of a user are.
func isRight(i int) bool { return i%10 < 8 }

// records are those of one user: of ten, eight are right, one has a wrong value and one has none.
func records(i int) []string {
	host := "www." + zone(i) + "."
	txt := value(i)
	switch i % 10 {
	case 8:
		txt = value(i + 1)
	case 9:
		return []string{host + " 60 IN CNAME " + target + "."}
	}
	return []string{"_combinator-verify." + host + ` 60 IN TXT "` + txt + `"`, host + " 60 IN CNAME " + target + "."}
}

// kubeconfig leads nowhere: a check of domains needs no cluster.
const kubeconfig = `apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none}}]
`

func (w *fixture) writeFiles() error {
	settings := fmt.Sprintf(`domain: %s
log: {format: console}
domains:
  checks: %d
  dns: {roots: [%q], port: %d, privateServers: true, queries: %d}
`, platform, 2*w.options.queries, w.dns.Root.Addr, w.dns.Port, w.options.queries)
	return errors.Join(os.WriteFile(filepath.Join(w.dir, "inner.yaml"), []byte(settings), 0o600),
		os.WriteFile(filepath.Join(w.dir, "kubeconfig"), []byte(kubeconfig), 0o600))
}

func (w *fixture) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, w.program, append(args, "--config", filepath.Join(w.dir, "inner.yaml"),
		"-d", w.server.DSN("postgres"), "-k", filepath.Join(w.dir, "kubeconfig"))...)
}

// inner runs the program to its end.
func (w *fixture) inner(ctx context.Context, args ...string) (*os.ProcessState, error) {
	cmd := w.command(ctx, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("inner %s: %w\n%s", args[0], err, output.String())
	}
	return cmd.ProcessState, nil
}

// insert inserts rows with the numbers from one below another: of www.<zone><number>.test, and of this user or, where that is
// empty, each of one of its own.
func (w *fixture) insert(ctx context.Context, from, below int, zone, user string) error {
	_, err := w.db.ExecContext(ctx, `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value)
		SELECT $4::TEXT || lpad(to_hex(i), 8, '0'), COALESCE(NULLIF($4, ''), 'u' || i), 'www.' || $3 || i || '.test', $5,
			'_combinator-verify.www.' || $3 || i || '.test', 'combinator-verify=' || lpad(to_hex(CASE WHEN $4 = '' THEN i ELSE i + 1000000
				END), 32, '0')
		FROM generate_series($1::INTEGER, $2::INTEGER - 1) AS i`, from, below, zone, user, target)
	return err
}

// measure runs one domain.check, and then the bare limit of as many queries as it sent.
func (w *fixture) measure(ctx context.Context, f *figures) error {
	before := w.queryCount()
	begin := time.Now()
	state, err := w.inner(ctx, "run-job", "domain.check", "--timeout", "30m")
	if err != nil {
		return err
	}
	took := time.Since(begin)
	if err := w.verifyResult(ctx); err != nil {
		return err
	}
	sent := w.queryCount() - before
	bare, err := w.bare(ctx, sent)
	if err != nil {
		return err
	}
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return errors.New("the system does not tell how much memory a process took")
	}
	f.add(took.Seconds(), bare.Seconds(), float64(sent), float64(usage.Maxrss)/1024)
	return nil
}

// queryCount returns how many queries all servers received.
func (w *fixture) queryCount() int {
	total := 0
	for _, s := range w.servers {
		total += s.QueryCount("")
	}
	return total
}

// verifyResult refuses to measure a check that did not do its work.
func (w *fixture) verifyResult(ctx context.Context) error {
	var right, wrong int
	err := w.db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE c.status = 'success' AND s.answer = 'right'),
		count(*) FILTER (WHERE c.status = 'pending' AND s.answer = 'wrong')
		FROM custom_domains AS c JOIN inner_domain_checks AS s ON s.cdid = c.cdid`).Scan(&right, &wrong)
	if err != nil {
		return err
	}
	wantWrong := 0
	for i := range w.options.domains {
		if !isRight(i) {
			wantWrong++
		}
	}
	if wrong != wantWrong || right != w.options.domains-wantWrong {
		return fmt.Errorf("%d domains are right and %d wrong, %d should be wrong", right, wrong, wantWrong)
	}
	return nil
}
