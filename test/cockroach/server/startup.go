package server

import (
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// states of a transaction, as the protocol has them.
const (
	idle   = 'I'
	open   = 'T'
	failed = 'E'
)

// session is that of one client.
type session struct {
	server *Server
	client *pgproto3.Backend
	raw    net.Conn // the client's
	// upstream is the PostgreSQL.
	upstream *pgproto3.Frontend
	wire     net.Conn // the PostgreSQL's

	state      byte
	statements map[string]string // prepared ones
	portals    map[string]string // their texts
	// refusal is the answer to the messages until the next Sync, lost what becomes of the answer to an Execute.
	refusal *pgproto3.ErrorResponse
	lost    *Fault
}

func newSession(s *Server, client, upstream net.Conn) *session {
	return &session{
		server: s, client: pgproto3.NewBackend(client, client), raw: client,
		upstream: pgproto3.NewFrontend(upstream, upstream), wire: upstream,
		state: idle, statements: map[string]string{}, portals: map[string]string{},
	}
}

func (s *session) run() error {
	started, err := s.start()
	if err != nil || !started {
		return err
	}
	for {
		message, err := s.client.Receive()
		if err != nil {
			return err
		}
		if _, end := message.(*pgproto3.Terminate); end {
			s.upstream.Send(message)
			return s.upstream.Flush()
		}
		if err := s.handle(message); err != nil {
			return err
		}
	}
}

// start lets the client log in. It is false where the connection was for a cancellation.
func (s *session) start() (bool, error) {
	for {
		message, err := s.client.ReceiveStartupMessage()
		if err != nil {
			return false, err
		}
		switch m := message.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := s.raw.Write([]byte{'N'}); err != nil {
				return false, err
			}
		case *pgproto3.CancelRequest:
			encoded, err := m.Encode(nil)
			if err != nil {
				return false, err
			}
			_, err = s.wire.Write(encoded)
			return false, err
		case *pgproto3.StartupMessage:
			s.upstream.Send(m)
			if err := s.upstream.Flush(); err != nil {
				return false, err
			}
			return true, s.login()
		default:
			return false, unexpected(message)
		}
	}
}

// login passes on what both sides say until the server is ready.
func (s *session) login() error {
	for {
		message, err := s.upstream.Receive()
		if err != nil {
			return err
		}
		kind, asks := asked(message)
		switch m := message.(type) {
		case *pgproto3.ParameterStatus:
			if m.Name == "server_version" {
				m.Value = "13.0.0"
			}
		case *pgproto3.ReadyForQuery:
			s.client.Send(&pgproto3.ParameterStatus{Name: "crdb_version", Value: Version})
			s.client.Send(m)
			return s.client.Flush()
		}
		s.client.Send(message)
		if err := s.client.Flush(); err != nil {
			return err
		}
		if !asks {
			continue
		}
		if err := s.client.SetAuthType(kind); err != nil {
			return err
		}
		answer, err := s.client.Receive()
		if err != nil {
			return err
		}
		s.upstream.Send(answer)
		if err := s.upstream.Flush(); err != nil {
			return err
		}
	}
}

// asked tells whether a message wants an answer of the client, and of which kind.
func asked(message pgproto3.BackendMessage) (kind uint32, asks bool) {
	switch message.(type) {
	case *pgproto3.AuthenticationCleartextPassword:
		return pgproto3.AuthTypeCleartextPassword, true
	case *pgproto3.AuthenticationMD5Password:
		return pgproto3.AuthTypeMD5Password, true
	case *pgproto3.AuthenticationSASL:
		return pgproto3.AuthTypeSASL, true
	case *pgproto3.AuthenticationSASLContinue:
		return pgproto3.AuthTypeSASLContinue, true
	}
	return 0, false
}
