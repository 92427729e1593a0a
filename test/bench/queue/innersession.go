package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/job"
)

// innerSession is Inner, running.
type innerSession struct {
	app      *fx.App
	server   *server.Server
	queue    job.Queue
	overHTTP bool
}

func (s *innerSession) producer(ctx context.Context) (producer, error) {
	if !s.overHTTP {
		return inProcess{s.queue}, nil
	}
	p := &overHTTP{address: s.server.Address}
	return p, p.connect(ctx)
}

func (s *innerSession) stop(ctx context.Context) error { return s.app.Stop(ctx) }

// inProcess accepts through the queue's seam.
type inProcess struct{ queue job.Queue }

func (p inProcess) accept(ctx context.Context, n note) error {
	_, err := p.queue.Accept(ctx, innerType, n)
	return err
}

func (p inProcess) close() error { return nil }

// overHTTP sends requests on one connection that is kept. It is as thin as a client can be: the server is measured, and
// both share the processors.
type overHTTP struct {
	// address is where the next connection goes.
	address func() string
	conn    net.Conn
	reader  *bufio.Reader
	host    string
	body    bytes.Buffer
	head    bytes.Buffer
}

// acceptTimeout bounds one request.
const acceptTimeout = 30 * time.Second

func (p *overHTTP) accept(ctx context.Context, n note) (err error) {
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer func() {
		if errors.Is(err, errBroken) { // the next task has a new connection
			err = errors.Join(err, p.close())
			p.conn = nil
		}
	}()
	p.body.Reset()
	err = json.NewEncoder(&p.body).Encode(struct {
		TaskType string `json:"task_type"`
		TaskInfo note   `json:"task_info"`
	}{innerType, n})
	if err != nil {
		return err
	}
	p.head.Reset()
	fmt.Fprintf(&p.head, "POST /api/acceptTask HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		p.host, p.body.Len())
	p.head.Write(p.body.Bytes())
	if err := p.conn.SetDeadline(time.Now().Add(acceptTimeout)); err != nil {
		return err
	}
	if _, err := p.conn.Write(p.head.Bytes()); err != nil {
		return fmt.Errorf("acceptTask: %w: %w", errBroken, err)
	}
	return p.answer()
}

// errBroken says that a connection cannot be used any more.
var errBroken = errors.New("connection lost")

// connect makes the connection where there is none.
func (p *overHTTP) connect(ctx context.Context) (err error) {
	if p.conn != nil {
		return nil
	}
	p.host = p.address()
	dialer := net.Dialer{Timeout: acceptTimeout}
	if p.conn, err = dialer.DialContext(ctx, "tcp", p.host); err != nil {
		p.conn = nil
		return fmt.Errorf("acceptTask: %w", err)
	}
	p.reader = bufio.NewReader(p.conn)
	return nil
}

// answer reads the receipt. Of its head only the status and the length matter.
func (p *overHTTP) answer() error {
	status, length := "", 0
	for {
		line, err := p.reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("acceptTask: %w: %w", errBroken, err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if status == "" {
			status = string(bytes.TrimPrefix(line, []byte("HTTP/1.1 ")))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("acceptTask: %w", err)
			}
		}
	}
	p.body.Reset()
	if _, err := io.CopyN(&p.body, p.reader, int64(length)); err != nil {
		return fmt.Errorf("acceptTask: %w: %w", errBroken, err)
	}
	if status == errRefused.Error() {
		return errRefused
	}
	if status != "200 OK" || !bytes.Contains(p.body.Bytes(), []byte(`"task_id":`)) {
		return fmt.Errorf("acceptTask: %s: %s", status, bytes.TrimSpace(p.body.Bytes()))
	}
	return nil
}

func (p *overHTTP) close() error {
	if p.conn == nil {
		return nil
	}
	return p.conn.Close()
}
