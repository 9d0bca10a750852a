"""Door 1, the DICOM network, in four rooms.

association: one association, whoever opened it   scp: what the node does when it is asked
server: the port, its processes and limits        scu: what the node asks of others
"""
