package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
	workersadmin "app238.com/inner/modules/workers/admin"
	"app238.com/inner/test/terminal"
)

// command is one that runs as a program.
func (p *program) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), self, append(args, "--config", p.config, "-d", p.db.Config.Database.DSN.Reveal())...)
	command.Env = append(os.Environ(), asProgram+"=1")
	return command
}

// onTerminal starts a command on a pseudo-terminal.
func (p *program) onTerminal(t *testing.T, args ...string) *terminal.Screen {
	t.Helper()
	return terminal.Start(t, p.command(t, args...))
}

func TestTopShowsPlatformAndOpensWhatFails(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insertWorker(t, "w1", "u1", "error", "error")
	p.insertDomain(t, "0a1b2c3d", "u1", "www.user.test")
	running := p.insert(t, "worker.deploy_worker", "processing", "{}")
	p.insert(t, "x", "pending", "{}")
	_, err := p.db.ExecContext(t.Context(), `UPDATE console_tasks SET claimed_by = 'p' WHERE id = $1`, running)
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `INSERT INTO inner_processes (id, host, running_tasks) VALUES ('p', 'pod-1', $1)`,
		fmt.Sprintf(",%d,", running))
	require.NoError(t, err)
	s := p.onTerminal(t, "top")
	for _, want := range []string{`1 pending, 1 processing`, `pod-1: 1 running, 0 claimed`, `worker\.deploy_worker`, `w1`, `CrashLoopBackOff`,
		`there is neither a`, `q quit`} {
		s.Await(0, want)
	}
	since := s.Press("j")
	s.Await(since, "▸")
	s.Await(s.Press("\r"), `none has served`)
	s.Await(s.Press("\x1b"), `FAILING`)
	s.Press("q")
	require.NoError(t, s.Wait())
	s.Await(0, `\x1b\[\?1049l`)
	require.NotContains(t, s.Text(), `"level"`, "no log lines")
}

func TestTopNeedsTerminal(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, err := p.run(t, "top")
	require.EqualError(t, err, "inner top needs a terminal; with kubectl exec use -it")
	require.Equal(t, exitUsage, exitStatus(err))
}

func TestTopComputesRatesFromTwoReadings(t *testing.T) {
	t.Parallel()
	m := &topModel{}
	begin := time.Now()
	m.take(reading{at: begin, activity: job.Activity{Newest: 10, Pending: 5}})
	require.Equal(t, "-/s -/s", rate(m.accepted)+" "+rate(m.ended))
	m.take(reading{at: begin.Add(2 * time.Second), activity: job.Activity{Newest: 30, Accepted: 20, Pending: 9}})
	require.Equal(t, "10.0/s 8.0/s", rate(m.accepted)+" "+rate(m.ended))
	m.take(reading{at: begin.Add(3 * time.Second), problem: "database away"})
	require.EqualValues(t, 30, m.last[queuePart].activity.Newest, "the last reading stays")
	m.width, m.height = 80, 24
	require.Contains(t, m.View().Content, "tasks: database away; shown as of "+clockOf(begin.Add(2*time.Second)))
	m.take(reading{part: domainsPart, at: begin.Add(3 * time.Second)})
	require.Equal(t, "10.0/s", rate(m.accepted), "another part has no rates")
	m.take(reading{at: begin.Add(4 * time.Second), activity: job.Activity{Newest: 30, Pending: 10}})
	require.Equal(t, "0.0/s", rate(m.ended), "a task was retried")
}

func TestTopFitsItsScreen(t *testing.T) {
	t.Parallel()
	m := &topModel{}
	queue, workers := reading{at: time.Now()}, reading{at: time.Now(), part: workersPart}
	for i := range 40 {
		queue.activity.Running = append(queue.activity.Running,
			job.Summary{ID: int64(i + 1), Type: "worker.deploy_worker", Running: true})
		workers.workers.Workers = append(workers.workers.Workers,
			workersadmin.Worker{WorkerID: fmt.Sprint("w", i), Message: strings.Repeat("why ", 40)})
	}
	m.take(queue)
	m.take(workers)
	m.take(reading{part: leaderPart, problem: strings.Repeat("long ", 30)})
	plain := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {20, 3}} {
		m.width, m.height = size[0], size[1]
		for range 45 { // the selected line is always shown
			lines := strings.Split(plain.ReplaceAllString(m.View().Content, ""), "\n")
			require.Len(t, lines, m.height)
			for _, line := range lines {
				require.LessOrEqual(t, len([]rune(line)), m.width, line)
			}
			if m.height >= 24 {
				require.Contains(t, strings.Join(lines, "\n"), "▸")
			}
			m.press("down")
		}
	}
	require.Equal(t, []int{3, 2, 1}, share(6, 9, 2, 0))
	require.Equal(t, []int{1, 1, 1}, share(0, 9, 2, 0))
}
