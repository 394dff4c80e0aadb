package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/go-sql-driver/mysql"
	"github.com/gomodule/redigo/redis"
	"github.com/lib/pq"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sqlSession is one connection of a pool.
type sqlSession struct {
	pool *sql.DB
	conn *sql.Conn
}

func openPostgres(ctx context.Context, server *url.URL) (session, error) {
	connector, err := pq.NewConnector(server.String())
	if err != nil {
		return nil, err
	}
	return connect(ctx, sql.OpenDB(connector))
}

func openMySQL(ctx context.Context, server *url.URL) (session, error) {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = server.User.Username(), "tcp", server.Host
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return connect(ctx, sql.OpenDB(connector))
}

func connect(ctx context.Context, pool *sql.DB) (session, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &sqlSession{pool, conn}, nil
}

func (s *sqlSession) use(ctx context.Context) error {
	var one int
	return s.conn.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

func (s *sqlSession) close() {
	s.conn.Close()
	s.pool.Close()
}

type redisSession struct{ conn redis.Conn }

func openRedis(ctx context.Context, server *url.URL) (session, error) {
	conn, err := redis.DialURLContext(ctx, server.String())
	if err != nil {
		return nil, err
	}
	return &redisSession{conn}, nil
}

func (s *redisSession) use(ctx context.Context) error {
	_, err := redis.DoContext(s.conn, ctx, "PING")
	return err
}

func (s *redisSession) close() { s.conn.Close() }

// tlsSession speaks TLS itself, with a server whose certificate nobody has signed.
type tlsSession struct {
	conn   *tls.Conn
	reader *bufio.Reader
}

func openTLS(ctx context.Context, server *url.URL) (session, error) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(ctx, "tcp", server.Host)
	if err != nil {
		return nil, err
	}
	return &tlsSession{conn.(*tls.Conn), bufio.NewReader(conn)}, nil
}

func (s *tlsSession) use(ctx context.Context) error {
	if deadline, has := ctx.Deadline(); has {
		if err := s.conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(s.conn, "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("expected status 200, got %s", answer.Status)
	}
	return nil
}

func (s *tlsSession) close() { s.conn.Close() }

type kafkaSession struct{ client *kgo.Client }

func openKafka(_ context.Context, server *url.URL) (session, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(server.Host),
		kgo.DefaultProduceTopic("lab"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		// What a retry would hide is what this is for.
		kgo.RequestRetries(0),
		kgo.RecordRetries(0),
		kgo.DisableIdempotentWrite(),
	)
	if err != nil {
		return nil, err
	}
	return &kafkaSession{client}, nil
}

// use writes to a partition of each broker, whose addresses the first one has told.
func (s *kafkaSession) use(ctx context.Context) error {
	records := []*kgo.Record{{Partition: 0}, {Partition: 1}}
	return s.client.ProduceSync(ctx, records...).FirstErr()
}

func (s *kafkaSession) close() { s.client.Close() }
