"""The meshes: what their init containers write into a pod, who their proxy is, and how it reaches the application.

The rules are those of istio-init in both of its modes, istio-cni in ambient mode, linkerd-init, Consul's and Kuma's transparent proxies, in the
words of nftables. Ports of the tap's own session are left out of the mesh, as the documents for operators say."""
import dataclasses

POD, POD6 = "10.97.0.3", "fd00:97::3"
SENSOR_PORT = 2003
APPLICATION_PORT = 8080


@dataclasses.dataclass(frozen=True)
class Mesh:
    name: str
    user: int  # 0: root, with group 1337
    inbound: int  # where the rules send what comes for the application
    mutual: int  # where a peer's proxy sends what it has encrypted: the application's port, or the proxy's own
    others: tuple  # more ports of the proxy
    rules: str
    upstream: str = POD  # the application's address as the proxy names it
    source: str = ""  # HAProxy's words for the address that the proxy binds
    client: str = ""  # the client's address in the leg; empty: the real one
    upstream6: str = POD6
    source6: str = ""
    client6: str = ""  # likewise, over IPv6; empty: not in this lab
    plain: int = 0  # where clients outside the mesh end
    bind: str = ""  # HAProxy's words for how the proxy listens for what comes for the application
    commands: tuple = ()  # ip(8)
    sysctl: dict = dataclasses.field(default_factory=dict)


def sidecar_rules(inbound, outbound, user, left_alone):
    return f"""
table inet mesh {{
  chain inbound {{
    type nat hook prerouting priority dstnat
    tcp dport {{ {", ".join(map(str, left_alone))} }} return
    meta l4proto tcp redirect to :{inbound}
  }}
  chain outbound {{
    type nat hook output priority -100
    tcp dport {SENSOR_PORT} return
    oif lo ip saddr 127.0.0.6 return
    oif lo ip6 saddr ::6 return
    oif lo ip daddr != 127.0.0.1 meta skuid {user} tcp dport != {APPLICATION_PORT} redirect to :{inbound}
    oif lo return
    meta skuid {user} return
    ip daddr 127.0.0.1 return
    ip6 daddr ::1 return
    meta l4proto tcp redirect to :{outbound}
  }}
}}
"""


# Of the socket's mark, HAProxy knows nothing: the first chain sets it for the proxy's group.
AMBIENT_RULES = f"""
table inet mesh {{
  chain socket_mark {{
    type route hook output priority -160
    meta skgid 1337 meta mark set 0x539
  }}
  chain mark_in {{
    type filter hook prerouting priority mangle
    meta mark & 0xfff == 0x539 ct mark set 0x111
  }}
  chain mark_out {{
    type route hook output priority mangle
    ct mark & 0xfff == 0x111 meta mark set ct mark
  }}
  chain inbound {{
    type nat hook prerouting priority dstnat
    ip saddr 169.254.7.127 accept
    ip daddr != 127.0.0.1 tcp dport != 15008 meta mark & 0xfff != 0x539 redirect to :15006
  }}
  chain outbound {{
    type nat hook output priority -100
    tcp dport {SENSOR_PORT} accept
    ip daddr 169.254.7.127 accept
    ct mark & 0xfff == 0x111 accept
    ip daddr != 127.0.0.1 oif lo meta mark & 0xfff != 0x539 accept
    ip daddr != 127.0.0.1 meta l4proto tcp meta mark & 0xfff != 0x539 redirect to :15001
  }}
}}
"""

# Of the socket's mark, HAProxy knows nothing here either. Envoy's filter for the original source binds the client's address and
# leaves the port to the kernel, as HAProxy does.
TPROXY_RULES = f"""
table inet mesh {{
  chain socket_mark {{
    type route hook output priority -160
    meta skgid 1337 ip saddr != {{ {POD}, 127.0.0.0/8 }} ip daddr {POD} meta mark set 1337
  }}
  chain inbound {{
    type filter hook prerouting priority mangle
    meta l4proto != tcp return
    meta mark 1337 ct mark set meta mark return
    iif lo ip saddr 127.0.0.6 return
    iif lo meta mark != 1338 return
    tcp dport {{ 15008, 15020, 15021, 15090 }} return
    ct state established,related meta mark set 1337 accept
    ip daddr != 127.0.0.0/8 meta l4proto tcp tproxy ip to :15006 meta mark set 1337 accept
  }}
  chain outbound_mark {{
    type route hook output priority mangle
    oif lo meta mark 1337 return
    oif lo ip daddr != 127.0.0.1 meta skgid 1337 meta l4proto tcp meta mark set 1338
    ct mark 1337 meta mark set ct mark
  }}
  chain outbound {{
    type nat hook output priority -100
    tcp dport {SENSOR_PORT} return
    oif lo ip saddr 127.0.0.6 return
    meta skgid 1337 return
    oif lo return
    ip daddr 127.0.0.1 return
    meta l4proto tcp redirect to :15001
  }}
}}
"""

# What the init container of a client's pod writes, as far as its connections to the pod under test need it.
CLIENT_RULES = f"""
table inet mesh {{
  chain outbound {{
    type nat hook output priority -100
    meta skuid 1337 return
    ip daddr {POD} tcp dport {APPLICATION_PORT} redirect to :15001
  }}
}}
"""

ISTIO_OTHERS = (15000, 15001, 15021, 15090)  # the agent has 15020
ISTIO = Mesh("istio", 1337, 15006, APPLICATION_PORT, ISTIO_OTHERS,
             sidecar_rules(15006, 15001, 1337, (15008, 15020, 15021, 15090)), source="source 127.0.0.6",
             client="127.0.0.6", source6="source [::6]", client6="::6", commands=("addr add ::6/128 dev lo",))
ISTIO_LOCALHOST = dataclasses.replace(ISTIO, name="istio-localhost", upstream="127.0.0.1", source="source 127.0.0.1",
                                      client="127.0.0.1", upstream6="::1", source6="source [::1]", client6="::1")
# Its proxy is root there, for the right to transparent sockets.
ISTIO_TPROXY = Mesh("istio-tproxy", 0, 15006, APPLICATION_PORT, ISTIO_OTHERS, TPROXY_RULES, bind="transparent",
                    source="source 0.0.0.0 usesrc clientip",
                    commands=("rule add fwmark 1337 lookup 133", "route add local 0.0.0.0/0 dev lo table 133"),
                    sysctl={f"ipv4/conf/{interface}/rp_filter": 0 for interface in ("all", "lo", "eth0")})
KUMA = dataclasses.replace(ISTIO, name="kuma", user=5678, others=(9901, 15001, 15010),
                           rules=sidecar_rules(15006, 15001, 5678, (9901,)))
LINKERD = Mesh("linkerd", 2102, 4143, APPLICATION_PORT, (4140, 4190, 4191), sidecar_rules(4143, 4140, 2102, (4190,)),
               client=POD, client6=POD6)
CONSUL = Mesh("consul", 5995, 20000, APPLICATION_PORT, (15001, 19000), sidecar_rules(20000, 15001, 5995, (19000,)),
              upstream="127.0.0.1", source="source 127.0.0.1", client="127.0.0.1")
AMBIENT = Mesh("ambient", 0, 15008, 15008, (15001, 15053), AMBIENT_RULES, source="source 0.0.0.0 usesrc clientip",
               plain=15006,
               commands=("rule add fwmark 0x111/0xfff pref 32764 lookup 100", "route add local 0.0.0.0/0 dev lo table 100"),
               sysctl={"ipv4/conf/all/rp_filter": 0, "ipv4/conf/lo/rp_filter": 0})
