#!/usr/bin/ruby
# driver.rb BASE KEY TOPIC: the checks of interop.py with Ruby's websocket-driver, which leaves the socket to its user.
# frozen_string_literal: true
require "json"
require "openssl"
require "socket"
require "timeout"
require "uri"
require "websocket/driver"

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 1_048_576].freeze

class Client
  attr_reader :url, :code, :driver

  def initialize(url, protocols = [])
    @url = url
    @inbox = []
    parts = URI(url)
    @io = TCPSocket.new(parts.host, parts.port)
    if parts.scheme == "wss"
      context = OpenSSL::SSL::SSLContext.new
      context.set_params(ca_file: ENV.fetch("CAFILE"))
      @io = OpenSSL::SSL::SSLSocket.new(@io, context).tap { |io| io.hostname = parts.host }
      @io.connect
    end
    @driver = WebSocket::Driver.client(self, max_length: 1 << 24, protocols: protocols)
    @driver.on(:message) { |event| @inbox << event.data }
    @driver.on(:close) { |event| @code = event.code }
    @driver.on(:error) { |event| @error = event.message }
    @driver.start
    read_on while @driver.state == :connecting && !@error
    raise @error if @error
  end

  def write(bytes)
    @io.write(bytes)
  end

  def read_on
    raise "no answer in time" unless @io.respond_to?(:pending) && @io.pending.positive? || @io.to_io.wait_readable(20)
    @driver.parse(@io.readpartial(1 << 16))
  rescue EOFError
    @code ||= 1006
  end

  def receive
    read_on while @inbox.empty? && @code.nil?
    raise "closed with #{@code}" if @inbox.empty?
    data = @inbox.shift
    data.is_a?(Array) ? data.pack("C*") : data
  end

  def closed
    read_on while @code.nil?
    @code
  end
end

def check(name)
  Timeout.timeout(30) { yield }
  puts "#{name}\tok"
  true
rescue StandardError => error
  puts "#{name}\t#{error.class}: #{error.message.gsub(/\s+/, ' ')[0, 200]}"
  false
end

def same(got, wanted)
  raise "#{got.inspect[0, 60]} instead of #{wanted.inspect[0, 60]}" if got != wanted
end

base, key, topic = ARGV
$stdout.sync = true
echo = nil
exit unless check("connect") { echo = Client.new("#{base}/v1/echo") }
SIZES.each do |size|
  text = ("abcdé€😀xyz " * (size / 10 + 1))[0, size]
  check("text #{size}") { echo.driver.text(text); same(echo.receive, text) }
  binary = ((0..250).to_a.pack("C*") * (size / 251 + 1)).byteslice(0, size)
  check("binary #{size}") { echo.driver.binary(binary.bytes); same(echo.receive, binary) }
end
check("many at once") do
  500.times { |n| echo.driver.text("message #{n}") }
  500.times { |n| same(echo.receive, "message #{n}") }
end
check("ping") do
  answered = false
  echo.driver.ping("are you there") { answered = true }
  echo.read_on until answered
end
puts "compression\tnot offered"
puts "version\t#{Gem::Specification.find_all_by_name('websocket-driver').first&.version}"
[1000, 3000, 4999].each do |code|
  check("close #{code}") { one = Client.new("#{base}/v1/echo"); one.driver.close("done ✓", code); same(one.closed, code) }
end
check("closed 1003") { one = Client.new("#{base}/v1/ws"); one.driver.binary([1, 2]); same(one.closed, 1003) }
check("closed 4400") { same(Client.new("#{base}/v1/ws?mode=wrong").closed, 4400) }
check("session") do
  one = Client.new("#{base}/v1/ws?topics=#{topic}", ["ringcast.v1", "ringcast.token.#{key}"])
  same(one.driver.protocol, "ringcast.v1")
  %w[hello subscribed].each { |op| same(JSON.parse(one.receive)["op"], op) }
  one.driver.text(JSON.generate(op: "publish", id: 1, topic: topic, data: { p: 1.5, name: "é€😀" }))
  same(JSON.parse(one.receive)["op"], "published")
  update = JSON.parse(one.receive)
  update = JSON.parse(one.receive) if update["op"] == "topic"
  same(update["data"]["name"], "é€😀")
  one.driver.close("", 1000)
  same(one.closed, 1000)
end
check("goodbye") { echo.driver.close("", 1000); same(echo.closed, 1000) }
